namespace Krewe.Control.KvEvents;

/// <summary>Events or a part of a snapshot, in the order in which a silo must take them.</summary>
/// <param name="First">Number of the first event; of a snapshot's part, of the first event behind the snapshot.</param>
/// <param name="IsSnapshot">The changes are all there is, not what is new.</param>
/// <param name="Offset">Changes in the snapshot's earlier parts; 0 in its first: what was known before is void.</param>
/// <param name="Ends">A snapshot's last part.</param>
public readonly record struct KvBatch(
    ulong First, ReadOnlyMemory<KvChange> Changes, bool IsSnapshot = false, int Offset = 0, bool Ends = false);

/// <summary>
/// One silo's place in a worker's log. It begins with a snapshot, goes on with the events behind it, and begins anew
/// when it is too far behind or the silo asks for it. Not thread-safe, but for <see cref="Restart"/>.
/// </summary>
public sealed class KvEventReader(KvEventLog log)
{
    private volatile bool _restart = true;
    private ReadOnlyMemory<KvChange> _snapshot;
    private bool _inSnapshot;
    private int _offset;
    private ulong _next;

    /// <summary>The silo saw a gap: the next batch begins a snapshot.</summary>
    public void Restart() => _restart = true;

    /// <summary>The next batch of at most <paramref name="max"/> changes; null when there is nothing new.</summary>
    public KvBatch? Read(int max)
    {
        if (_restart) BeginSnapshot();
        if (_inSnapshot) return ReadSnapshot(max);
        if (log.TryRead(_next, max) is not { } events)
        {
            BeginSnapshot();
            return ReadSnapshot(max);
        }

        if (events.Length == 0) return null;
        var first = _next;
        _next += (ulong)events.Length;
        return new KvBatch(first, events);
    }

    private void BeginSnapshot()
    {
        _restart = false;
        (var blocks, _next) = log.Snapshot();
        (_snapshot, _inSnapshot, _offset) = (blocks, true, 0);
    }

    private KvBatch ReadSnapshot(int max)
    {
        var part = _snapshot[..Math.Min(max, _snapshot.Length)];
        _snapshot = _snapshot[part.Length..];
        _inSnapshot = _snapshot.Length > 0;
        var batch = new KvBatch(_next, part, IsSnapshot: true, _offset, Ends: !_inSnapshot);
        _offset += part.Length;
        return batch;
    }
}
