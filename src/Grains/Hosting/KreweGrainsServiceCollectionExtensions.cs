using Krewe.Abstractions;
using Krewe.Control.Migration;
using Krewe.Control.Requests;
using Krewe.Control.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Krewe.Grains;

/// <summary>Adds what the grains are made of. The host itself, Orleans or embedded, is added beside it.</summary>
public static class KreweGrainsServiceCollectionExtensions
{
    /// <summary>
    /// The silo must register <see cref="ClusterOptions"/>, <see cref="IClusterView"/>, <see cref="IAttemptPort"/>,
    /// <see cref="IMigrationPort"/> and a grain storage named <see cref="GrainStorageNames.Requests"/>. An <see
    /// cref="IRoutingPolicy"/>, an
    /// <see cref="IRecordRetention"/> or a <see cref="TimeProvider"/> registered before stays.
    /// </summary>
    public static IServiceCollection AddKreweGrains(this IServiceCollection services, GrainOptions? options = null)
    {
        options ??= new GrainOptions();
        // With room for none, a request's own last record would have to make room for itself.
        ArgumentOutOfRangeException.ThrowIfLessThan(options.RecordsMax, 1);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(options);
        services.TryAddSingleton(RoutingPolicies.Create(RoutingPolicies.Default, seed: 0));
        services.TryAddSingleton<PrefixDirectory>();
        services.TryAddSingleton<IRecordRetention, RecordRetention>();
        services.TryAddSingleton(new MigrationPolicy());
        services.TryAddSingleton(new DrainPolicy());
        services.AddSingleton<RequestRouter>();
        services.AddSingleton<IRouteTally>(provider => provider.GetRequiredService<RequestRouter>());
        services.AddSingleton(provider =>
            new RequestMachine(RequestLimits.From(provider.GetRequiredService<ClusterOptions>())));
        return services;
    }
}
