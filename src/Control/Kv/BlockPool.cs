using Krewe.Abstractions;

namespace Krewe.Control.Kv;

/// <summary>
/// Bookkeeping of one device's KV blocks. Invariant: every block is exactly one of
/// <list type="bullet">
/// <item>free: no reference, not in the prefix cache; on the free list;</item>
/// <item>evictable: no reference, kept by the prefix cache; on the eviction list, least recently released first;</item>
/// <item>pinned: one reference for each <see cref="BlockTable"/> entry that names it.</item>
/// </list>
/// Deterministic: the same calls give the same blocks. Not thread-safe: the engine thread owns it.
/// </summary>
public sealed class BlockPool
{
    private readonly int[] _references;
    private readonly bool[] _cached;
    private readonly Stack<int> _free;

    // Eviction order as a circular list through the blocks; index TotalBlocks is its head, which is no block.
    private readonly int[] _newer;
    private readonly int[] _older;

    public BlockPool(int blocks)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocks, 1);
        TotalBlocks = blocks;
        _references = new int[blocks];
        _cached = new bool[blocks];
        _newer = new int[blocks + 1];
        _older = new int[blocks + 1];
        _newer[blocks] = _older[blocks] = blocks;
        _free = new Stack<int>(blocks);
        for (var block = blocks - 1; block >= 0; block--) _free.Push(block);
    }

    public int TotalBlocks { get; }

    public int FreeBlocks => _free.Count;

    public int EvictableBlocks { get; private set; }

    public int PinnedBlocks => TotalBlocks - FreeBlocks - EvictableBlocks;

    /// <summary>Blocks that an allocation can have: free ones and, after them, evictable ones.</summary>
    public int AvailableBlocks => FreeBlocks + EvictableBlocks;

    /// <summary>Told of each evicted block before it is used again; the prefix cache forgets it.</summary>
    internal Action<BlockId>? Evicting { get; set; }

    /// <summary>References to a block: entries of all block tables that name it.</summary>
    public int References(BlockId block) => _references[block.Value];

    /// <summary>Evictable blocks, the next to be evicted first. Valid until the pool changes.</summary>
    public IEnumerable<BlockId> InEvictionOrder()
    {
        for (var block = _newer[TotalBlocks]; block != TotalBlocks; block = _newer[block])
            yield return new BlockId(block);
    }

    /// <summary>
    /// Makes the table hold <paramref name="blocks"/> blocks, or, with too few available, changes nothing.
    /// </summary>
    public bool TryGrow(BlockTable table, int blocks)
    {
        var missing = blocks - table.Count;
        if (missing > AvailableBlocks) return false;
        for (; missing > 0; missing--)
        {
            if (_free.Count == 0) EvictOldest();
            var block = new BlockId(_free.Pop());
            _references[block.Value] = 1;
            table.Append(block);
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
            if (_references[block] == 1) blocks++;
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
            if (expected[block] != _references[block])
                problems.Add($"b{block} has {_references[block]} references, its holders are {expected[block]}");
        }

        CheckLists(problems);
        IntegrityException.Check(problems.Count == 0, $"Block pool: {string.Join("; ", problems.Take(20))}.");
    }

    /// <summary>The prefix cache keeps this pinned block once its last reference goes.</summary>
    internal void Keep(BlockId block)
    {
        IntegrityException.Check(_references[block.Value] > 0, $"{block} is cached without a holder.");
        _cached[block.Value] = true;
    }

    internal bool IsCached(BlockId block) => _cached[block.Value];

    private void Reference(BlockId block)
    {
        if (_references[block.Value]++ > 0) return;
        IntegrityException.Check(_cached[block.Value], $"{block} is free and cannot be shared.");
        Unlink(block.Value);
    }

    private void Dereference(BlockId block)
    {
        IntegrityException.Check(_references[block.Value] > 0, $"{block} is released twice.");
        if (--_references[block.Value] > 0) return;
        if (_cached[block.Value]) LinkNewest(block.Value);
        else _free.Push(block.Value);
    }

    private void EvictOldest()
    {
        var block = _newer[TotalBlocks];
        IntegrityException.Check(block != TotalBlocks, "No block is evictable although the count says so.");
        Unlink(block);
        Evicting?.Invoke(new BlockId(block));
        _cached[block] = false;
        _free.Push(block);
    }

    private void LinkNewest(int block)
    {
        var last = _older[TotalBlocks];
        (_newer[last], _older[block]) = (block, last);
        (_newer[block], _older[TotalBlocks]) = (TotalBlocks, block);
        EvictableBlocks++;
    }

    private void Unlink(int block)
    {
        (_newer[_older[block]], _older[_newer[block]]) = (_newer[block], _older[block]);
        EvictableBlocks--;
    }

    private void CheckLists(List<string> problems)
    {
        var listed = new int[TotalBlocks];
        foreach (var block in _free)
        {
            listed[block]++;
            if (_references[block] != 0 || _cached[block]) problems.Add($"b{block} is on the free list but in use");
        }

        var evictable = 0;
        for (var block = _newer[TotalBlocks]; block != TotalBlocks; block = _newer[block])
        {
            listed[block]++;
            evictable++;
            if (_references[block] != 0 || !_cached[block])
                problems.Add($"b{block} is evictable but in use or unknown");
            if (evictable > TotalBlocks) break;
        }

        if (evictable != EvictableBlocks)
            problems.Add($"{EvictableBlocks} blocks are counted evictable, {evictable} are on the list");
        for (var block = 0; block < TotalBlocks; block++)
        {
            var wanted = _references[block] == 0 ? 1 : 0;
            if (listed[block] != wanted) problems.Add($"b{block} is on {listed[block]} lists instead of {wanted}");
        }
    }
}
