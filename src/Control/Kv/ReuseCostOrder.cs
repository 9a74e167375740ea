using Krewe.Control.Steps;

namespace Krewe.Control.Kv;

/// <summary>
/// The block whose loss is expected to cost least goes first: the chance that it is used again, times the time to
/// compute it at its place in its sequence, where it attends to all that comes before it (AsymCache, arXiv
/// 2606.02964). Only blocks without cached children are candidates. O(log n).
/// </summary>
/// <remarks>
/// The chance is a count of uses of which each fades by half in <see cref="HalfLifeEntries"/> blocks that enter the
/// cache (LRFU, Lee et al. 2001): a clock that runs as fast as the cache turns over, so that it needs no tuning to the
/// load. All counts fade alike, so their order between two uses never changes, and a heap over the constant keys
/// <c>ln(count) + ln(cost) + ln(2) · clock / half-life</c> holds it.
/// </remarks>
public sealed class ReuseCostOrder : IEvictionOrder
{
    /// <summary>
    /// Of the pool's blocks. Measured on Mooncake's conversation trace (docs/BENCHMARKS.md): longer keeps the deep and
    /// dear at the price of hits, shorter is plain LRU.
    /// </summary>
    private const double HalfLifeShare = 0.25;

    private readonly Block[] _blocks;
    private readonly int[] _heap;
    private readonly int _blockTokens;
    private int _heapCount;
    private long _clock;

    /// <param name="blocks">Blocks of the pool.</param>
    /// <param name="blockTokens">Token slots of one.</param>
    public ReuseCostOrder(int blocks, int blockTokens)
    {
        _blocks = new Block[blocks];
        _heap = new int[blocks];
        _blockTokens = blockTokens;
        HalfLifeEntries = Math.Max(1, HalfLifeShare * blocks);
    }

    public int Count { get; private set; }

    /// <summary>Blocks entering the cache in which a use fades to a half.</summary>
    public double HalfLifeEntries { get; init; }

    /// <summary>What computing costs; only ratios count. Blocks released from now on are weighed by it.</summary>
    public StepTimeCoefficients Costs { get; set; } = StepTimeCoefficients.ColdStart;

    public void Enter(int block, int? parent, int index)
    {
        _clock++;
        ref var entered = ref _blocks[block];
        entered = new Block
        {
            Life = entered.Life + 1,
            Index = index,
            Uses = 1,
            UsedAt = _clock,
            Parent = parent ?? block,
            ParentLife = parent is { } cached ? _blocks[cached].Life : 0,
        };
        if (parent is { } known) _blocks[known].Children++;
    }

    public void Use(int block)
    {
        ref var used = ref _blocks[block];
        used.Uses = 1 + (used.Uses * double.Exp2((used.UsedAt - _clock) / HalfLifeEntries));
        used.UsedAt = _clock;
    }

    public void Add(int block)
    {
        ref var added = ref _blocks[block];
        added.IsEvictable = true;
        Count++;
        var costMs = (Costs.RowMs * _blockTokens)
            + (Costs.PairMs * StepWork.Pairs(added.Index * _blockTokens, _blockTokens));
        added.Key = Math.Log2(added.Uses) + Math.Log2(Math.Max(costMs, double.Epsilon))
            + (_clock / HalfLifeEntries);
        if (added.Children == 0) Push(block);
    }

    public void Remove(int block)
    {
        _blocks[block].IsEvictable = false;
        Count--;
        if (_blocks[block].Place is var place and > 0) Take(place - 1);
    }

    public int TakeNext()
    {
        IntegrityException.Check(Count > 0, "No block is evictable although the count says so.");
        var block = _heapCount > 0 ? _heap[0] : AnyEvictable();
        Remove(block);
        ref var taken = ref _blocks[block];
        taken.Life++; // children that stay, if any, have no parent from now on
        ref var parent = ref _blocks[taken.Parent];
        if (taken.Parent != block && parent.Life == taken.ParentLife && --parent.Children == 0 && parent.IsEvictable)
            Push(taken.Parent);
        return block;
    }

    public IEnumerable<int> InOrder()
    {
        // A heap's own order: each block comes before those below it.
        for (var i = 0; i < _heapCount; i++) yield return _heap[i];
        for (var block = 0; block < _blocks.Length; block++)
        {
            if (_blocks[block] is { IsEvictable: true, Place: 0 }) yield return block;
        }
    }

    /// <summary>
    /// Every evictable block has a cached child, and it is pinned: the child's holder has a copy of the parent of its
    /// own. Rare enough for a look at all blocks.
    /// </summary>
    private int AnyEvictable() => Array.FindIndex(_blocks, block => block.IsEvictable);

    private void Push(int block)
    {
        _heap[_heapCount] = block;
        Rise(_heapCount++);
    }

    private void Take(int place)
    {
        _blocks[_heap[place]].Place = 0;
        if (place == --_heapCount) return;
        _heap[place] = _heap[_heapCount];
        Rise(place);
        Sink(_blocks[_heap[place]].Place - 1);
    }

    private void Rise(int place)
    {
        var block = _heap[place];
        while (place > 0 && IsBefore(block, _heap[(place - 1) / 2]))
        {
            Put(_heap[(place - 1) / 2], place);
            place = (place - 1) / 2;
        }

        Put(block, place);
    }

    private void Sink(int place)
    {
        var block = _heap[place];
        while ((2 * place) + 1 < _heapCount)
        {
            var child = (2 * place) + 1;
            if (child + 1 < _heapCount && IsBefore(_heap[child + 1], _heap[child])) child++;
            if (!IsBefore(_heap[child], block)) break;
            Put(_heap[child], place);
            place = child;
        }

        Put(block, place);
    }

    private void Put(int block, int place)
    {
        _heap[place] = block;
        _blocks[block].Place = place + 1;
    }

    private bool IsBefore(int a, int b) => _blocks[a].Key != _blocks[b].Key ? _blocks[a].Key < _blocks[b].Key : a < b;

    private struct Block
    {
        public double Key;
        public double Uses;
        public long UsedAt;
        public int Index;
        public int Parent;

        /// <summary>Cached blocks behind it.</summary>
        public int Children;

        /// <summary>Counts what the block's number stood for, so that a child knows whether its parent is still
        /// there.</summary>
        public int Life;

        public int ParentLife;

        /// <summary>One more than its place in the heap; 0 = not in it.</summary>
        public int Place;

        public bool IsEvictable;
    }
}
