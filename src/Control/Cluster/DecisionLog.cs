using System.Collections.Immutable;

namespace Krewe.Control.Cluster;

/// <summary>One thing that cluster control did, and why.</summary>
/// <param name="Number">Ascending without gaps, so that a reader sees what it missed.</param>
/// <param name="At">When.</param>
/// <param name="Kind">"migrate", "scale", "role", "drain", "refuse".</param>
/// <param name="What">One line, as "moved 3 requests from w2 to w5: freeness -4 vs 31".</param>
public sealed record ClusterDecision(long Number, DateTimeOffset At, string Kind, string What);

/// <summary>The newest decisions, bounded. Safe to use from any thread.</summary>
public sealed class DecisionLog(int capacity = 512)
{
    private readonly Lock _gate = new();
    private readonly Queue<ClusterDecision> _newest = new(capacity);
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);
    private long _count;

    /// <summary>How many of each kind there were since the start.</summary>
    public ImmutableArray<KeyValuePair<string, long>> Counts
    {
        get
        {
            lock (_gate) return [.. _counts];
        }
    }

    public void Add(DateTimeOffset at, string kind, string what)
    {
        lock (_gate)
        {
            if (_newest.Count == capacity) _newest.Dequeue();
            _newest.Enqueue(new ClusterDecision(++_count, at, kind, what));
            _counts[kind] = _counts.GetValueOrDefault(kind) + 1;
        }
    }

    /// <summary>Those numbered above <paramref name="after"/> that are still kept, oldest first.</summary>
    public ImmutableArray<ClusterDecision> After(long after)
    {
        lock (_gate) return [.. _newest.Where(decision => decision.Number > after)];
    }
}
