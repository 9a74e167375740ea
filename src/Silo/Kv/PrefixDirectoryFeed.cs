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
        var told = changes.ToArray();
        prefixes.Update(worker, (index, holder) =>
        {
            foreach (var change in told)
            {
                if (change.Kind == KvChangeKind.Stored) index.Add(holder, change.Hash, change.Tier);
                else index.Remove(holder, change.Hash, change.Tier);
                if (change.Kind == KvChangeKind.Moved) index.Add(holder, change.Hash, change.To);
            }
        });
    }

    public void Show(WorkerIncarnation worker, bool isComplete) => prefixes.Complete(worker, isComplete);

    public void End(WorkerIncarnation worker) => prefixes.End(worker);
}
