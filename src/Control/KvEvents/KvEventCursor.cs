namespace Krewe.Control.KvEvents;

/// <summary>What a silo does with a batch.</summary>
public enum KvVerdict
{
    /// <summary>Apply the changes to what is known.</summary>
    Apply,

    /// <summary>Forget what is known, then apply.</summary>
    ReplaceAndApply,

    /// <summary>Take nothing of it: an answer to a snapshot that was asked for is on its way.</summary>
    Ignore,

    /// <summary>Events are missing: take nothing, and ask for a snapshot.</summary>
    AskForSnapshot,
}

/// <summary>
/// A silo's side of one worker's events: in order and without a gap, or not at all. A gap makes what is known a lie, so
/// it is replaced by a snapshot and the events behind it. Not thread-safe.
/// </summary>
public sealed class KvEventCursor
{
    private ulong? _next;
    private int? _snapshotOffset;
    private bool _asked = true; // a link begins with a snapshot, unasked

    /// <summary>True when everything that the worker said is known: a snapshot that has ended, and no gap since.
    /// </summary>
    public bool IsComplete => _next is not null && _snapshotOffset is null;

    /// <summary>Number of the event that comes next; null while that is not known.</summary>
    public ulong? Next => _next;

    /// <summary>Takes a batch's numbers in.</summary>
    public KvVerdict Take(KvBatch batch)
    {
        if (batch.IsSnapshot) return TakeSnapshot(batch);
        if (IsComplete && _next == batch.First)
        {
            _next += (ulong)batch.Changes.Length;
            return KvVerdict.Apply;
        }

        return Miss();
    }

    private KvVerdict TakeSnapshot(KvBatch batch)
    {
        if (batch.Offset == 0)
            (_next, _asked) = (batch.First, false);
        else if (_snapshotOffset != batch.Offset || _next != batch.First)
            return Miss();
        _snapshotOffset = batch.Ends ? null : batch.Offset + batch.Changes.Length;
        return batch.Offset == 0 ? KvVerdict.ReplaceAndApply : KvVerdict.Apply;
    }

    private KvVerdict Miss()
    {
        (_next, _snapshotOffset) = (null, null);
        if (_asked) return KvVerdict.Ignore;
        _asked = true;
        return KvVerdict.AskForSnapshot;
    }
}
