using System.Diagnostics.CodeAnalysis;
using Krewe.Silo.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Telemetry;

/// <summary>
/// Counts activations now and then: on a cluster that asks every silo, so nobody who only looks may cause it.
/// </summary>
internal sealed partial class GrainCensus(
    IGrainHostStatistics statistics, TimeProvider time, ILogger<GrainCensus> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private volatile IReadOnlyDictionary<string, int> _activations = new Dictionary<string, int>();

    /// <summary>By grain type, as of the newest count.</summary>
    public IReadOnlyDictionary<string, int> Activations => _activations;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            // Not at once: on Orleans the grain that is asked is there a moment after the silo.
            while (await timer.WaitForNextTickAsync(stoppingToken)) await CountAsync();
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has; the next count must take place all the same.")]
    private async Task CountAsync()
    {
        try
        {
            _activations = await statistics.CountActivationsAsync();
        }
        catch (Exception e)
        {
            LogNotCounted(log, e);
        }
    }

    [LoggerMessage(60, LogLevel.Debug, "Grain activations could not be counted")]
    private static partial void LogNotCounted(ILogger log, Exception error);
}
