using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Control.KvEvents;
using Krewe.Grains;

namespace Krewe.Silo.Kv;

/// <summary>Keeps the silo's prefix index true: routing reads there who has what.</summary>
internal sealed class PrefixDirectoryFeed(PrefixDirectory prefixes) : IKvFeed
{
    public void Begin(WorkerIncarnation worker) => prefixes.Begin(worker);

    public void Apply(WorkerIncarnation worker, ReadOnlySpan<KvChange> changes)
    {
        // A block that moved was stored there and removed here.
        var told = new List<PrefixChange>(changes.Length);
        foreach (var change in changes)
        {
            told.Add(new PrefixChange(change.Hash, change.Tier, change.Kind == KvChangeKind.Stored));
            if (change.Kind == KvChangeKind.Moved) told.Add(new PrefixChange(change.Hash, change.To, IsStored: true));
        }

        prefixes.Apply(worker, CollectionsMarshal.AsSpan(told));
    }

    public void Show(WorkerIncarnation worker, bool isComplete) => prefixes.Complete(worker, isComplete);

    public void End(WorkerIncarnation worker) => prefixes.End(worker);
}
