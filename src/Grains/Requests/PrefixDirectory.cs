using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Prefixes;
using Krewe.Control.Routing;

namespace Krewe.Grains;

/// <summary>
/// This silo's prefix index: written by workers' KV events, read by routing, under one lock that nobody holds for
/// longer than a batch of events. Until any worker tells of its blocks, all are believed to have what they were sent.
/// </summary>
public sealed class PrefixDirectory
{
    /// <summary>Four million prompt tokens, in 7 MB. It stands in for workers that do not tell of their blocks.
    /// </summary>
    private const int RoutedBlocksMax = 1 << 18;

    private readonly Lock _gate = new();
    private readonly PrefixIndex _index = new();
    private readonly RoutedPrefixes _routed = new(RoutedBlocksMax);
    private readonly Dictionary<WorkerIncarnation, Content> _contents = [];
    private readonly Dictionary<int, WorkerIncarnation> _workers = [];

    /// <summary>Blocks that workers told of, each once.</summary>
    public long ToldBlocks
    {
        get
        {
            lock (_gate) return _index.Blocks;
        }
    }

    /// <summary>Blocks that workers are believed to have, because they were sent there.</summary>
    public int RoutedBlocks
    {
        get
        {
            lock (_gate) return _routed.Count;
        }
    }

    /// <summary>The worker's hits are told under this slot from now on.</summary>
    public void Attach(WorkerIncarnation worker, int slot)
    {
        lock (_gate)
        {
            _workers[slot] = worker;
            if (_contents.TryGetValue(worker, out var content)) Show(worker, content with { Slot = slot });
        }
    }

    public void Detach(int slot)
    {
        lock (_gate)
        {
            if (_workers.Remove(slot, out var worker) && _contents.TryGetValue(worker, out var content))
                Show(worker, content with { Slot = PrefixIndex.Hidden });
            _routed.Forget(slot);
        }
    }

    /// <summary>The worker's content is told anew from here on; not shown until it is complete.</summary>
    public void Begin(WorkerIncarnation worker)
    {
        lock (_gate)
        {
            Close(worker);
            var slot = PrefixIndex.Hidden;
            foreach (var (known, incarnation) in _workers)
            {
                if (incarnation == worker) slot = known;
            }

            _contents[worker] = new Content(_index.Open(PrefixIndex.Hidden), slot, IsComplete: false);
        }
    }

    /// <summary>Applies changes of the worker's content, in order; without <see cref="Begin"/> nothing.</summary>
    public void Apply(WorkerIncarnation worker, ReadOnlySpan<PrefixChange> changes)
    {
        lock (_gate)
        {
            if (!_contents.TryGetValue(worker, out var content)) return;
            foreach (var change in changes)
            {
                if (change.IsStored) _index.Add(content.Holder, change.Hash, change.Tier);
                else _index.Remove(content.Holder, change.Hash, change.Tier);
            }
        }
    }

    /// <summary>What is known of the worker is all true now, or no more.</summary>
    public void Complete(WorkerIncarnation worker, bool isComplete)
    {
        lock (_gate)
        {
            if (_contents.TryGetValue(worker, out var content))
                Show(worker, content with { IsComplete = isComplete });
        }
    }

    /// <summary>The worker is gone.</summary>
    public void End(WorkerIncarnation worker)
    {
        lock (_gate) Close(worker);
    }

    /// <summary>Fills in what each attached worker has of the prompt.</summary>
    public void Match(ReadOnlySpan<PrefixHash> hashes, int blockTokens, PrefixHits hits)
    {
        lock (_gate)
        {
            if (_contents.Count == 0) _routed.Match(hashes, blockTokens, hits);
            else _index.Match(hashes, blockTokens, hits);
        }
    }

    /// <summary>The prompt was sent to the worker of this slot.</summary>
    public void Routed(int slot, ReadOnlySpan<PrefixHash> hashes)
    {
        lock (_gate)
        {
            if (_contents.Count == 0) _routed.Routed(slot, hashes);
        }
    }

    private void Show(WorkerIncarnation worker, Content content)
    {
        _contents[worker] = content;
        _index.Show(content.Holder, content.IsComplete ? content.Slot : PrefixIndex.Hidden);
    }

    private void Close(WorkerIncarnation worker)
    {
        if (_contents.Remove(worker, out var content)) _index.Close(content.Holder);
    }

    private readonly record struct Content(int Holder, int Slot, bool IsComplete);
}

/// <summary>A worker has a block in one of its tiers from now on, or no longer.</summary>
public readonly record struct PrefixChange(PrefixHash Hash, KvTier Tier, bool IsStored);
