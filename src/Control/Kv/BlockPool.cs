using Krewe.Abstractions;

namespace Krewe.Control.Kv;

/// <summary>
/// Bookkeeping of one device's KV blocks. Invariant: every block is exactly one of
/// <list type="bullet">
/// <item>free: no reference, not in the prefix cache; in a run of <see cref="FreeRuns"/>;</item>
/// <item>evictable: no reference, kept by the prefix cache; in the <see cref="IEvictionOrder"/>;</item>
/// <item>pinned: one reference for each <see cref="BlockTable"/> entry that names it.</item>
/// </list>
/// Deterministic: the same calls give the same blocks. Not thread-safe: the engine thread owns it.
/// </summary>
public sealed class BlockPool
{
    private const int Kept = 1;
    private const int OneReference = 2;

    // References, and whether the prefix cache keeps it. In one number, for a pool is larger than a processor's cache.
    private readonly int[] _states;
    private readonly FreeRuns _free;
    private readonly IEvictionOrder _order;

    /// <param name="order">Who goes first; null: least recently released.</param>
    public BlockPool(int blocks, IEvictionOrder? order = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocks, 1);
        TotalBlocks = blocks;
        _states = new int[blocks];
        _order = order ?? new LruOrder(blocks);
        _free = new FreeRuns(blocks);
    }

    public int TotalBlocks { get; }

    public int FreeBlocks => _free.Count;

    public int EvictableBlocks => _order.Count;

    public int PinnedBlocks => TotalBlocks - FreeBlocks - EvictableBlocks;

    /// <summary>Blocks that an allocation can have: free ones and, after them, evictable ones.</summary>
    public int AvailableBlocks => FreeBlocks + EvictableBlocks;

    /// <summary>Told of each evicted block before it is used again; the prefix cache forgets it.</summary>
    internal Action<BlockId>? Evicting { get; set; }

    /// <summary>References to a block: entries of all block tables that name it.</summary>
    public int References(BlockId block) => _states[block.Value] / OneReference;

    /// <summary>Evictable blocks, the next to be evicted roughly first. Valid until the pool changes.</summary>
    public IEnumerable<BlockId> InEvictionOrder()
    {
        foreach (var block in _order.InOrder()) yield return new BlockId(block);
    }

    /// <summary>
    /// Makes the table hold <paramref name="blocks"/> blocks, or, with too few available, changes nothing. New ones are
    /// neighbours, in the table's order, of the last one and of each other wherever that can be had.
    /// </summary>
    public bool TryGrow(BlockTable table, int blocks)
    {
        var missing = blocks - table.Count;
        if (missing > AvailableBlocks) return false;

        // All first: what is evicted together often lies together.
        while (_free.Count < missing) EvictNext();
        while (missing > 0)
        {
            var behind = table.Count == 0 ? TotalBlocks : table[table.Count - 1].Value + 1;
            var (start, count) = IsFree(behind) ? (behind, _free.TakeFrom(behind, missing)) : _free.Take(missing);
            for (var block = start; block < start + count; block++)
            {
                _states[block] = OneReference;
                table.Append(new BlockId(block));
            }

            missing -= count;
        }

        return true;
    }

    /// <summary>Appends a block that is resident already (pinned or evictable) and takes a reference.</summary>
    public void Share(BlockTable table, BlockId block)
    {
        Reference(block);
        table.Append(block);
    }

    /// <summary>
    /// Puts a resident block in place of the one at <paramref name="index"/>, whose reference is given back.
    /// </summary>
    public void Replace(BlockTable table, int index, BlockId block)
    {
        var old = table[index];
        Reference(block);
        table.Set(index, block);
        Dereference(old);
    }

    /// <summary>
    /// Empties the table, last block first: a block then becomes evictable before its parent in the prefix chain, and
    /// the cache never keeps a child whose parent is gone while a choice exists.
    /// </summary>
    public void Release(BlockTable table)
    {
        while (table.Count > 0) Dereference(table.RemoveLast());
    }

    /// <summary>Blocks that become available when this table alone is released.</summary>
    public int ReleasableBlocks(BlockTable table)
    {
        var blocks = 0;
        foreach (var block in table.Span)
        {
            if (_states[block] / OneReference == 1) blocks++;
        }

        return blocks;
    }

    /// <summary>
    /// Recomputes every count from the holders and throws <see cref="IntegrityException"/> naming each block that
    /// disagrees. <paramref name="holders"/> = every live block table of this pool.
    /// </summary>
    public void CheckIntegrity(IEnumerable<BlockTable> holders)
    {
        var expected = new int[TotalBlocks];
        foreach (var table in holders)
        {
            foreach (var block in table.Span) expected[block]++;
        }

        var problems = new List<string>();
        for (var block = 0; block < TotalBlocks; block++)
        {
            var references = _states[block] / OneReference;
            if (expected[block] != references)
                problems.Add($"b{block} has {references} references, its holders are {expected[block]}");
        }

        CheckLists(problems);
        IntegrityException.Check(problems.Count == 0, $"Block pool: {string.Join("; ", problems.Take(20))}.");
    }

    /// <summary>The prefix cache keeps this pinned block once its last reference goes.</summary>
    /// <param name="parent">The block before it in its sequence; null for the first.</param>
    /// <param name="index">Its place in its sequence.</param>
    internal void Keep(BlockId block, BlockId? parent, int index)
    {
        IntegrityException.Check(_states[block.Value] >= OneReference, $"{block} is cached without a holder.");
        _states[block.Value] |= Kept;
        _order.Enter(block.Value, parent is { } known && IsCached(known) ? known.Value : null, index);
    }

    internal bool IsCached(BlockId block) => (_states[block.Value] & Kept) != 0;

    private void Reference(BlockId block)
    {
        if (IsCached(block)) _order.Use(block.Value);
        var was = _states[block.Value];
        _states[block.Value] = was + OneReference;
        if (was >= OneReference) return;
        IntegrityException.Check(was == Kept, $"{block} is free and cannot be shared.");
        _order.Remove(block.Value);
    }

    private void Dereference(BlockId block)
    {
        ref var state = ref _states[block.Value];
        IntegrityException.Check(state >= OneReference, $"{block} is released twice.");
        state -= OneReference;
        if (state == Kept) _order.Add(block.Value);
        else if (state == 0) Free(block.Value);
    }

    private void EvictNext()
    {
        var block = _order.TakeNext();
        Evicting?.Invoke(new BlockId(block));
        _states[block] = 0;
        Free(block);
    }

    /// <summary>False for what is no block, too.</summary>
    private bool IsFree(int block) =>
        (uint)block < (uint)_states.Length && _states[block] == 0;

    private void Free(int block) => _free.Add(block, IsFree(block - 1), IsFree(block + 1));

    private void CheckLists(List<string> problems)
    {
        var listed = new int[TotalBlocks];
        foreach (var (start, length) in _free.Runs())
        {
            if (IsFree(start - 1) || IsFree(start + length)) problems.Add($"The free run at b{start} could be longer");
            for (var block = start; block < start + length; block++)
            {
                listed[block]++;
                if (!IsFree(block)) problems.Add($"b{block} is in a free run but in use");
            }
        }

        var evictable = 0;
        foreach (var block in _order.InOrder())
        {
            listed[block]++;
            evictable++;
            if (_states[block] != Kept)
                problems.Add($"b{block} is evictable but in use or unknown");
            if (evictable > TotalBlocks) break;
        }

        if (evictable != EvictableBlocks)
            problems.Add($"{EvictableBlocks} blocks are counted evictable, {evictable} are on the list");
        for (var block = 0; block < TotalBlocks; block++)
        {
            var wanted = _states[block] < OneReference ? 1 : 0;
            if (listed[block] != wanted) problems.Add($"b{block} is on {listed[block]} lists instead of {wanted}");
        }
    }
}
