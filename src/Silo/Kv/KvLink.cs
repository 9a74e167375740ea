using System.Buffers.Binary;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Kv;

/// <summary>One link's KV events on their way to the feeds: in order and without a gap, or by a new snapshot.</summary>
internal sealed class KvLink(WorkerIncarnation worker, IEnumerable<IKvFeed> feeds)
{
    private readonly KvEventCursor _cursor = new();
    private readonly IKvFeed[] _feeds = [.. feeds];

    /// <summary>Takes a message in.</summary>
    /// <returns>True when the worker must be asked for a snapshot.</returns>
    public bool Take(Wire.KvEvents message)
    {
        if (Read(message) is not { } batch) return false;
        var wasComplete = _cursor.IsComplete;
        var verdict = _cursor.Take(batch);
        foreach (var feed in _feeds)
        {
            if (verdict == KvVerdict.ReplaceAndApply) feed.Begin(worker);
            if (verdict is KvVerdict.Apply or KvVerdict.ReplaceAndApply) feed.Apply(worker, batch.Changes.Span);
            if (wasComplete != _cursor.IsComplete || verdict == KvVerdict.ReplaceAndApply)
                feed.Show(worker, _cursor.IsComplete);
        }

        return verdict == KvVerdict.AskForSnapshot;
    }

    public void End()
    {
        foreach (var feed in _feeds) feed.End(worker);
    }

    /// <summary>Null for a message whose parts do not fit each other. A newer version's changes are left out.</summary>
    private static KvBatch? Read(Wire.KvEvents message)
    {
        var kinds = message.Kinds.Span;
        var hashes = message.Hashes.Span;
        if (hashes.Length != kinds.Length * KvChange.HashBytes) return null;
        var changes = new KvChange[kinds.Length];
        for (var i = 0; i < kinds.Length; i++)
        {
            var hash = BinaryPrimitives.ReadUInt128LittleEndian(hashes[(i * KvChange.HashBytes)..]);
            // An unknown kind still counts as an event: the numbers must go on.
            changes[i] = KvChange.Unpack(kinds[i], new PrefixHash(hash))
                ?? new KvChange(KvChangeKind.Removed, KvTier.Remote, new PrefixHash(hash));
        }

        return new KvBatch(message.First, changes, message.Snapshot, (int)message.Offset, message.Ends);
    }
}
