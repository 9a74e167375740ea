using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Orleans;

namespace Krewe.EmbeddedOrleans;

/// <summary>Adds the embedded grain host to an application.</summary>
public static class EmbeddedOrleansServiceCollectionExtensions
{
    /// <summary>Registers <see cref="IGrainFactory"/>, <see cref="IEmbeddedGrainDirectory"/> and the hosted service
    /// that ends every activation when the application stops. Time comes from the registered
    /// <see cref="TimeProvider"/>, or the system's.</summary>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">Invalid options.</exception>
    /// <exception cref="ArgumentException">A grain class or interface that cannot work.</exception>
    public static IServiceCollection AddEmbeddedOrleans(
        this IServiceCollection services, Action<EmbeddedOrleansOptions> configure)
    {
        var options = new EmbeddedOrleansOptions();
        configure(options);
        options.Validate();
        var classes = new GrainClassMap(options.GrainAssemblies);

        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => new GrainHost(provider, options, classes));
        services.AddSingleton(provider => provider.GetRequiredService<GrainHost>().Factory);
        services.AddSingleton<IGrainFactory>(provider => provider.GetRequiredService<EmbeddedGrainFactory>());
        services.AddSingleton<EmbeddedGrainDirectory>();
        services.AddSingleton<IEmbeddedGrainDirectory>(p => p.GetRequiredService<EmbeddedGrainDirectory>());
        services.AddSingleton<IHostedService, EmbeddedGrainService>();
        return services;
    }

    /// <summary>Adds a filter round every grain call; filters run in the order of their registration.</summary>
    public static IServiceCollection AddIncomingGrainCallFilter<TFilter>(this IServiceCollection services)
        where TFilter : class, IIncomingGrainCallFilter =>
        services.AddSingleton<IIncomingGrainCallFilter, TFilter>();
}
