namespace Krewe.Silo.Dashboard;

/// <summary>
/// One second of this silo: a value for each of <see cref="SnapshotSeries.Names"/>, null where there was none.
/// </summary>
internal sealed record Snapshot(DateTimeOffset At, double?[] Values);

/// <summary>The last quarter of an hour, a snapshot a second. Any thread.</summary>
internal sealed class SnapshotRing
{
    public const int SecondsMax = 15 * 60;

    private readonly Lock _gate = new();
    private readonly Queue<Snapshot> _snapshots = new(SecondsMax);

    public void Add(Snapshot snapshot)
    {
        lock (_gate)
        {
            if (_snapshots.Count == SecondsMax) _snapshots.Dequeue();
            _snapshots.Enqueue(snapshot);
        }
    }

    /// <summary>Those behind a moment, oldest first.</summary>
    public IReadOnlyList<Snapshot> After(DateTimeOffset moment)
    {
        lock (_gate) return [.. _snapshots.Where(snapshot => snapshot.At > moment)];
    }
}
