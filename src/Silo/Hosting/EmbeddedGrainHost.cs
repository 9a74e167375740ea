using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.EmbeddedOrleans;
using Krewe.Grains;
using Krewe.Silo.Cluster;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Hosting;

/// <summary>
/// Runs the grains in this process alone. Compiled with <c>-p:GrainRuntime=Embedded</c>, the default.
/// </summary>
internal static class GrainHost
{
    public const string Name = "Embedded";

    /// <summary>What a stopping host gives its grains.</summary>
    public static TimeSpan ShutdownTimeout { get; } = TimeSpan.FromSeconds(3);

    /// <summary>What this host cannot do of what is asked for.</summary>
    public static IEnumerable<string> Mistakes(SiloOptions options)
    {
        if (options.RedisConnection is null) yield break;
        yield return "--redis makes several silos one cluster, and this build has the embedded grain host, which is "
            + "one silo and needs no Redis. Leave --redis out, or build with GrainRuntime=Orleans.";
    }

    /// <summary>Nothing is needed beside this process.</summary>
    [SuppressMessage("Style", "IDE0060", Justification = "Called as the Orleans host's is, which waits for Redis.")]
    public static Task PrepareAsync(
        SiloOptions options, ILoggerFactory? loggers, TimeProvider time, CancellationToken cancellationToken) =>
        Task.CompletedTask;

    public static void Add(WebApplicationBuilder builder, SiloOptions options)
    {
        builder.Services.AddEmbeddedOrleans(host =>
        {
            host.GrainAssemblies.Add(typeof(IClusterView).Assembly);
            if (options.DataDirectory is { } data) host.Storage = new GrainStorage.Folder(Path.Combine(data, "grains"));
        });
        builder.Services.AddSingleton<ISiloRoster, LoneSilo>();
        builder.Services.AddSingleton<IGrainHostStatistics, EmbeddedGrainHostStatistics>();
    }
}

internal sealed class EmbeddedGrainHostStatistics(IEmbeddedGrainDirectory directory) : IGrainHostStatistics
{
    public string HostName => GrainHost.Name;

    public ValueTask<IReadOnlyDictionary<string, int>> CountActivationsAsync() =>
        ValueTask.FromResult(directory.ActivationCountByGrainType);
}
