using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Krewe.Abstractions;
using Krewe.Grains;
using Krewe.Silo.Cluster;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Clustering.Redis;
using Orleans.Configuration;
using Orleans.Dashboard;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Runtime.MembershipService.SiloMetadata;
using OrleansClusterOptions = Orleans.Configuration.ClusterOptions;
using OrleansSiloOptions = Orleans.Configuration.SiloOptions;
using SiloOptions = Krewe.Abstractions.SiloOptions;

namespace Krewe.Silo.Hosting;

/// <summary>
/// Runs the grains on Microsoft Orleans: alone, or with other silos through Redis. Compiled with
/// <c>-p:GrainRuntime=Orleans</c>.
/// </summary>
internal static class GrainHost
{
    public const string Name = "Orleans";

    /// <summary>Grains of all versions of Krewe keep their identity: records outlive an upgrade.</summary>
    private const string ServiceId = "krewe";

    private const int PortFirst = 12_000;
    private const int PortEnd = 20_000;
    private const int PortTriesMax = 100;

    /// <summary>
    /// A stopping host gives its grains time to write their records, and leaves the membership table, so that the other
    /// silos need not find out.
    /// </summary>
    public static TimeSpan ShutdownTimeout { get; } = TimeSpan.FromSeconds(10);

    /// <summary>What this host cannot do of what is asked for.</summary>
    [SuppressMessage("Style", "IDE0060", Justification = "Called as the embedded host's is, which clusters nothing.")]
    public static IEnumerable<string> Mistakes(SiloOptions options) => [];

    /// <summary>
    /// Waits for Redis. Throws <see cref="KreweException"/> (StateUnavailable) that says what to change when it does
    /// not answer within <see cref="SiloOptions.RedisWait"/>.
    /// </summary>
    public static Task PrepareAsync(
        SiloOptions options, ILoggerFactory? loggers, TimeProvider time, CancellationToken cancellationToken) =>
        options.RedisConnection is null
            ? Task.CompletedTask
            : OrleansRedis.WaitAsync(options, loggers, time, cancellationToken);

    public static void Add(WebApplicationBuilder builder, SiloOptions options)
    {
        builder.Host.UseOrleans(silo =>
        {
            silo.AddDashboard();
            silo.Configure<OrleansClusterOptions>(cluster =>
            {
                cluster.ClusterId = options.ClusterId;
                cluster.ServiceId = ServiceId;
            });
            silo.Configure<OrleansSiloOptions>(named => named.SiloName = options.SiloId);
            if (options.RedisConnection is null)
                AddAlone(silo, options);
            else
                AddClustered(silo, options);
        });
        builder.Services.AddSingleton<IGrainHostStatistics, OrleansGrainHostStatistics>();
    }

    private static void AddAlone(ISiloBuilder silo, SiloOptions options)
    {
        // Free ports: two silos that are alone may share a machine.
        var own = FreePort(taken: options.HttpPort);
        silo.UseLocalhostClustering(own, FreePort(taken: own), null, ServiceId, options.ClusterId);
        silo.AddMemoryGrainStorage(GrainStorageNames.Requests);
        silo.Services.AddSingleton<ISiloRoster, LoneSilo>();
    }

    private static void AddClustered(ISiloBuilder silo, SiloOptions options)
    {
        var address = OrleansEndpoints.AdvertisedOf(options);
        silo.Configure<EndpointOptions>(endpoints =>
        {
            endpoints.AdvertisedIPAddress = address;
            endpoints.SiloPort = options.SiloPort;
            // No client of Orleans' own kind: the REST gateway is inside.
            endpoints.GatewayPort = 0;
            endpoints.SiloListeningEndpoint = new IPEndPoint(IPAddress.Parse(options.BindHost), options.SiloPort);
        });
        silo.Configure<ClusterMembershipOptions>(OrleansMembership.Tune);
        silo.UseRedisClustering(redis => redis.ConfigurationOptions = OrleansRedis.ConfigurationOf(options));
        silo.Services.AddOptions<RedisClusteringOptions>().Configure<ILoggerFactory>((redis, loggers) =>
            redis.CreateMultiplexer = async asked => (
                await OrleansRedis.ConnectAsync(asked.ConfigurationOptions!, loggers.CreateLogger("Krewe.Silo.Redis")),
                IsShared: false));
        silo.AddRedisGrainStorage(GrainStorageNames.Requests, storage =>
        {
            storage.ConfigurationOptions = OrleansRedis.ConfigurationOf(options);
            storage.EntryExpiry = options.RecordExpiry;
            storage.DeleteStateOnClear = true;
        });
        silo.AddDistributedGrainDirectory();

        // Usually grains of a dead silo are made anew only after half a minute, in case it does not know yet that it is
        // dead. Here two activations of a grain can do no harm: epochs fence what they tell workers and streams, and
        // leases run out by themselves. So a client gets its stream back as soon as the death is known.
        silo.Configure<GrainDirectoryOptions>(directory => directory.RangeLeaseDuration = TimeSpan.Zero);
        silo.UseSiloMetadata(OrleansEndpoints.MetadataOf(options, address));
        silo.Services.AddSingleton<OrleansSiloRoster>();
        silo.Services.AddSingleton<ISiloRoster>(provider => provider.GetRequiredService<OrleansSiloRoster>());
        silo.Services.AddHostedService(provider => provider.GetRequiredService<OrleansSiloRoster>());
    }

    /// <summary>
    /// One that is free until Orleans binds it: below those that the kernel gives to clients (32768 to 60999 on Linux),
    /// of which the next connection could have it.
    /// </summary>
    private static int FreePort(int taken)
    {
        for (var tries = 1; ; tries++)
        {
            var port = RandomNumberGenerator.GetInt32(PortFirst, PortEnd);
            if (port == taken) continue;
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException) when (tries < PortTriesMax)
            {
                // Somebody's.
            }
        }
    }
}

internal sealed class OrleansGrainHostStatistics(IGrainFactory grains) : IGrainHostStatistics
{
    public string HostName => GrainHost.Name;

    public async ValueTask<IReadOnlyDictionary<string, int>> CountActivationsAsync()
    {
        var counts = await grains.GetGrain<IManagementGrain>(0).GetSimpleGrainStatistics();
        return counts
            .GroupBy(count => count.GrainType, StringComparer.Ordinal)
            .ToDictionary(type => type.Key, type => type.Sum(count => count.ActivationCount), StringComparer.Ordinal);
    }
}
