using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.EmbeddedOrleans.Tests;

/// <summary>A started embedded host with this assembly's grains.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    /// <summary>Bounds every wait of a test, so that a hang is a failure with a name.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly ServiceProvider _services;

    private TestHost(ServiceProvider services) => _services = services;

    public IGrainFactory Grains => _services.GetRequiredService<IGrainFactory>();

    public IEmbeddedGrainDirectory Directory => _services.GetRequiredService<IEmbeddedGrainDirectory>();

    public GrainHost Host => _services.GetRequiredService<GrainHost>();

    public Hooks Hooks => _services.GetRequiredService<Hooks>();

    public ErrorLog Errors => _services.GetRequiredService<ErrorLog>();

    public static async Task<TestHost> StartAsync(
        ManualTimeProvider? time = null,
        Action<EmbeddedOrleansOptions>? configure = null,
        Action<IServiceCollection>? addServices = null)
    {
        var services = new ServiceCollection();
        if (time is not null)
            services.AddSingleton<TimeProvider>(time);
        services.AddSingleton<Hooks>();
        services.AddSingleton<ErrorLog>();
        services.AddSingleton<ILoggerProvider>(provider => provider.GetRequiredService<ErrorLog>());
        addServices?.Invoke(services);
        services.AddEmbeddedOrleans(options =>
        {
            options.GrainAssemblies.Add(typeof(TestHost).Assembly);
            configure?.Invoke(options);
        });

        var host = new TestHost(services.BuildServiceProvider());
        foreach (var service in host._services.GetServices<IHostedService>())
            await service.StartAsync(CancellationToken.None);
        return host;
    }

    public async Task StopAsync()
    {
        foreach (var service in _services.GetServices<IHostedService>())
            await service.StopAsync(CancellationToken.None).WaitAsync(Patience);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _services.DisposeAsync();
    }
}

/// <summary>Keeps what the host logs, and lets a test wait for it.</summary>
internal sealed class ErrorLog : ILoggerProvider, ILogger
{
    private readonly TaskCompletionSource<string> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<string> First => _first.Task.WaitAsync(TestHost.Patience);

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter) =>
        _first.TrySetResult($"{formatter(state, exception)}: {exception?.Message}");

    public void Dispose()
    {
    }
}
