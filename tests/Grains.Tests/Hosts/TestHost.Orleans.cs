using System.Net;
using System.Net.Sockets;
using Krewe.EmbeddedOrleans.Tests;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Storage;

namespace Krewe.Grains.Tests;

/// <summary>One silo of Microsoft Orleans on ports of its own. Compiled with <c>-p:GrainRuntime=Orleans</c>.</summary>
internal sealed class TestHost : ITestHost
{
    // Below those that the kernel gives to whoever asks for any.
    private const int PortFirst = 10_000;
    private const int PortCount = 22_000;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(10);

    private static int _ports = Random.Shared.Next(PortCount);

    private readonly IHost _host;

    private TestHost(IHost host) => _host = host;

    public IGrainFactory Grains => _host.Services.GetRequiredService<IGrainFactory>();

    private IManagementGrain Management => Grains.GetGrain<IManagementGrain>(0);

    /// <summary>Records of requests lie in <paramref name="folder"/>, or in memory.</summary>
    public static async Task<TestHost> StartAsync(Action<IServiceCollection> configure, string? folder)
    {
        var (silo, gateway) = FreePorts();
        var host = new HostBuilder()
            .ConfigureLogging(logging => logging.ClearProviders())
            .UseOrleans(builder =>
            {
                builder.UseLocalhostClustering(silo, gateway);
                // Fake time runs far ahead of a call that is held up: only a test's own patience may end it.
                builder.Configure<SiloMessagingOptions>(options => options.ResponseTimeout = TimeSpan.FromDays(1));
                builder.AddMemoryGrainStorage("unused");
                builder.Services.AddKeyedSingleton<IGrainStorage>(
                    GrainStorageNames.Requests, (_, _) => new FolderOrMemoryStorage(folder));
            })
            .ConfigureServices(services =>
            {
                configure(services);
                var manual = (ManualTimeProvider)services.Last(s => s.ServiceType == typeof(TimeProvider))
                    .ImplementationInstance!;
                services.Replace(ServiceDescriptor.Singleton<TimeProvider>(new GrainTimeProvider(manual)));
            })
            .Build();
        await host.StartAsync();
        return new TestHost(host);
    }

    public async Task<IReadOnlyDictionary<string, int>> CountActivationsAsync()
    {
        var counts = await Management.GetDetailedGrainStatistics();
        return counts
            .Where(count => count.GrainType.StartsWith("Krewe.", StringComparison.Ordinal))
            .CountBy(count => count.GrainId.Type.ToString()!)
            .ToDictionary(StringComparer.Ordinal);
    }

    public async Task WhenDeactivatedAsync(IAddressable grain)
    {
        var id = grain.GetGrainId();
        while ((await Management.GetDetailedGrainStatistics()).Any(alive => alive.GrainId == id))
            await Task.Delay(PollInterval);
    }

    public Task DeactivateIdleAsync(TimeSpan idle) => Management.ForceActivationCollection(idle);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync().WaitAsync(GrainCluster.Patience);
        _host.Dispose();
    }

    private static (int Silo, int Gateway) FreePorts() => (FreePort(), FreePort());

    /// <summary>One that nobody is given who asks for any, and no other test of this process.</summary>
    private static int FreePort()
    {
        while (true)
        {
            var port = PortFirst + (Interlocked.Increment(ref _ports) % PortCount);
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody else's.
            }
        }
    }
}
