using Microsoft.Extensions.Hosting;

namespace Krewe.EmbeddedOrleans;

/// <summary>Sweeps for late answers and idle activations while the application runs; ends all when it stops.</summary>
internal sealed class EmbeddedGrainService(GrainHost host) : IHostedService, IDisposable
{
    private static readonly TimeSpan SweepPeriodMax = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SweepPeriodMin = TimeSpan.FromMilliseconds(10);
    private ITimer? _sweeps;

    /// <summary>A tenth of the shorter limit, so that a limit is overrun by a tenth at most.</summary>
    private TimeSpan SweepPeriod
    {
        get
        {
            var shorter = host.Options.ResponseTimeout < host.Options.IdleAge
                ? host.Options.ResponseTimeout
                : host.Options.IdleAge;
            return TimeSpan.FromTicks(
                Math.Clamp(shorter.Ticks / 10, SweepPeriodMin.Ticks, SweepPeriodMax.Ticks));
        }
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _sweeps = host.Time.CreateTimer(static h => Sweep((GrainHost)h!), host, SweepPeriod, SweepPeriod);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        try
        {
            await host.StopAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            host.Log.StoppedWithBusyGrains(host.Catalog.Activations.Count());
        }

        // Last: callers of grains that hang while the host stops are still told in time.
        Dispose();
    }

    public void Dispose() => _sweeps?.Dispose();

    private static void Sweep(GrainHost host)
    {
        host.ExpireCalls();
        host.Factory.ForgetDeletedObservers();
        host.DeactivateIdle(host.Options.IdleAge);
    }
}
