using Orleans.Placement;

namespace Orleans.Concurrency;

/// <summary>Requests of this grain class interleave at every await.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ReentrantAttribute : Attribute;

/// <summary>This method starts at once, whatever else the activation is in the middle of.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class AlwaysInterleaveAttribute : Attribute;

/// <summary>The caller does not wait, and does not learn of a failure.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OneWayAttribute : Attribute;

/// <summary>Several activations of one identity serve calls side by side.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class StatelessWorkerAttribute : PlacementAttribute
{
    public StatelessWorkerAttribute()
        : this(Environment.ProcessorCount)
    {
    }

    public StatelessWorkerAttribute(int maxLocalWorkers)
        : this(maxLocalWorkers, true)
    {
    }

    /// <param name="maxLocalWorkers">At least 1.</param>
    /// <param name="removeIdleWorkers">Accepted; idle workers end like every idle activation.</param>
    public StatelessWorkerAttribute(int maxLocalWorkers, bool removeIdleWorkers)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLocalWorkers, 1);
        WorkersMax = maxLocalWorkers;
        RemoveIdleWorkers = removeIdleWorkers;
    }

    internal int WorkersMax { get; }

    internal bool RemoveIdleWorkers { get; }
}
