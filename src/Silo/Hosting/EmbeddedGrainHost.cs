using Krewe.Abstractions;
using Krewe.EmbeddedOrleans;
using Krewe.Grains;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Hosting;

/// <summary>
/// Runs the grains in this process alone. Compiled with <c>-p:GrainRuntime=Embedded</c>, the default.
/// </summary>
internal static class GrainHost
{
    public const string Name = "Embedded";

    public static void Add(WebApplicationBuilder builder, SiloOptions options)
    {
        if (options.RedisConnection is not null)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions,
                "RedisConnection is set, but this build has the embedded grain host, which is one silo and needs no "
                + "Redis. Leave it out, or build with -p:GrainRuntime=Orleans.");
        }

        builder.Services.AddEmbeddedOrleans(host =>
        {
            host.GrainAssemblies.Add(typeof(IClusterView).Assembly);
            if (options.DataDirectory is { } data) host.Storage = new GrainStorage.Folder(Path.Combine(data, "grains"));
        });
        builder.Services.AddSingleton<IGrainHostStatistics, EmbeddedGrainHostStatistics>();
    }
}

internal sealed class EmbeddedGrainHostStatistics(IEmbeddedGrainDirectory directory) : IGrainHostStatistics
{
    public string HostName => GrainHost.Name;

    public ValueTask<IReadOnlyDictionary<string, int>> CountActivationsAsync() =>
        ValueTask.FromResult(directory.ActivationCountByGrainType);
}
