namespace Krewe.Control.Cluster;

/// <summary>When pools grow, shrink and exchange workers. Times are of the samples, not of a clock.</summary>
public sealed record PoolPolicy
{
    /// <summary>Share of requests that must meet a phase's SLO.</summary>
    public double AttainmentTarget { get; init; } = 0.9;

    /// <summary>
    /// A pool is sized for this utilisation: at 0.7 an M/M/1 queue is as long as 2.3 services, and a fifth more load
    /// still fits.
    /// </summary>
    public double BusyTarget { get; init; } = 0.7;

    /// <summary>Workers of a phase at least; 0 lets a pool without traffic go to nothing.</summary>
    public int WorkersMin { get; init; } = 1;

    public int WorkersMax { get; init; } = 1000;

    /// <summary>Samples in a row that must say the same before anything is done.</summary>
    public int SamplesInRow { get; init; } = 3;

    /// <summary>
    /// After a worker joined, this long: its caches are empty and its steps cold, so samples say nothing of the pool.
    /// </summary>
    public TimeSpan ColdStart { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>No further change of a phase for this long after one; shrinking waits longer than growing.</summary>
    public TimeSpan CoolDownAfterGrowth { get; init; } = TimeSpan.FromMinutes(1);

    /// <inheritdoc cref="CoolDownAfterGrowth"/>
    public TimeSpan CoolDownBeforeShrinking { get; init; } = TimeSpan.FromMinutes(5);
}
