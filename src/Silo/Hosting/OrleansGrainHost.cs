using Krewe.Abstractions;
using Krewe.Grains;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans;
using Orleans.Dashboard;
using Orleans.Hosting;
using Orleans.Runtime;
using StackExchange.Redis;
using OrleansClusterOptions = Orleans.Configuration.ClusterOptions;

namespace Krewe.Silo.Hosting;

/// <summary>Runs the grains on Microsoft Orleans. Compiled with <c>-p:GrainRuntime=Orleans</c>.</summary>
internal static class GrainHost
{
    public const string Name = "Orleans";

    private const string ClusterId = "krewe";

    public static void Add(WebApplicationBuilder builder, SiloOptions options)
    {
        builder.Host.UseOrleans(silo =>
        {
            silo.AddDashboard();
            silo.Configure<OrleansClusterOptions>(cluster =>
            {
                cluster.ClusterId = ClusterId;
                cluster.ServiceId = ClusterId;
            });
            if (options.RedisConnection is { } redis)
            {
                silo.UseRedisClustering(redis);
                silo.AddRedisGrainStorage(
                    GrainStorageNames.Requests,
                    storage => storage.ConfigurationOptions = ConfigurationOptions.Parse(redis));
            }
            else
            {
                silo.UseLocalhostClustering(serviceId: ClusterId, clusterId: ClusterId);
                silo.AddMemoryGrainStorage(GrainStorageNames.Requests);
            }
        });
        builder.Services.AddSingleton<IGrainHostStatistics, OrleansGrainHostStatistics>();
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
