using Krewe.EmbeddedOrleans;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains.Tests;

/// <summary>The embedded host. Compiled with <c>-p:GrainRuntime=Embedded</c>.</summary>
internal sealed class TestHost : ITestHost
{
    private readonly ServiceProvider _services;

    private TestHost(ServiceProvider services) => _services = services;

    public IGrainFactory Grains => _services.GetRequiredService<IGrainFactory>();

    private IEmbeddedGrainDirectory Directory => _services.GetRequiredService<IEmbeddedGrainDirectory>();

    /// <summary>Records of requests lie in <paramref name="folder"/>, or in memory.</summary>
    public static async Task<TestHost> StartAsync(Action<IServiceCollection> configure, string? folder)
    {
        var services = new ServiceCollection();
        configure(services);
        services.AddEmbeddedOrleans(host =>
        {
            host.GrainAssemblies.Add(typeof(IAttemptPort).Assembly);
            host.Storage = folder is null ? new GrainStorage.Memory() : new GrainStorage.Folder(folder);
            // Fake time runs far ahead of a call that is held up: only a test's own patience may end it.
            host.ResponseTimeout = TimeSpan.FromDays(1);
        });
        var built = services.BuildServiceProvider();
        foreach (var service in built.GetServices<IHostedService>())
            await service.StartAsync(CancellationToken.None);
        return new TestHost(built);
    }

    public Task<IReadOnlyDictionary<string, int>> CountActivationsAsync() =>
        Task.FromResult(Directory.ActivationCountByGrainType);

    public Task WhenDeactivatedAsync(IAddressable grain) => Directory.WhenDeactivatedAsync(grain);

    public Task DeactivateIdleAsync(TimeSpan idle) => Directory.DeactivateIdleAsync(idle);

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services.GetServices<IHostedService>())
            await service.StopAsync(CancellationToken.None).WaitAsync(GrainCluster.Patience);
        await _services.DisposeAsync();
    }
}
