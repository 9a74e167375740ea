using Krewe.Abstractions;

namespace Krewe.Control.Kv;

/// <summary>What a match would find now, without taking it.</summary>
/// <param name="Blocks">Blocks that are resident.</param>
/// <param name="EvictableBlocks">Those of them that would stop being evictable.</param>
public readonly record struct PrefixHit(int Blocks, int EvictableBlocks);

/// <summary>
/// Finds full blocks whose content is known already. A block enters when its last token's KV is computed, stays while
/// anybody holds it, and after that until the pool needs its room (least recently released first).
/// </summary>
/// <remarks>
/// Blocks of a sequence of <c>length</c> tokens, by token interval, when it ends:
/// <code>
/// [0, hit)           matched at admission, shared with others  -> one reference given back
/// [hit, known)       another sequence inserted it meanwhile    -> ours was freed at Insert, theirs is shared since
/// then [known, full)      inserted by us                            -> reference given back; evictable when it was the
/// last [full, length)     tail of a partial block, never inserted   -> free
/// </code>
/// A full hit still computes the last token, since only computing gives logits: callers match at most
/// (tokens - 1) / BlockTokens blocks when they want to sample next.
/// </remarks>
public sealed class PrefixCache
{
    private readonly BlockPool _pool;
    private readonly Dictionary<PrefixHash, BlockId> _blocks = [];
    private readonly Dictionary<BlockId, PrefixHash> _hashes = [];

    public PrefixCache(BlockPool pool)
    {
        _pool = pool;
        pool.Evicting = Forget;
    }

    /// <summary>Blocks that can be found.</summary>
    public int Count => _blocks.Count;

    /// <summary>Hashes of all blocks that can be found, any order.</summary>
    public IEnumerable<PrefixHash> Hashes => _blocks.Keys;

    /// <summary>Told of each block that can be found from now on.</summary>
    public Action<PrefixHash, BlockId>? Inserted { get; set; }

    /// <summary>Told of each block that is forgotten, while its bytes are still there.</summary>
    public Action<PrefixHash, BlockId>? Evicted { get; set; }

    /// <summary>The hash under which the block can be found; null when it cannot.</summary>
    public PrefixHash? HashOf(BlockId block) => _hashes.TryGetValue(block, out var hash) ? hash : null;

    /// <summary>The longest resident prefix of <paramref name="hashes"/>.</summary>
    public PrefixHit Peek(ReadOnlySpan<PrefixHash> hashes)
    {
        var evictable = 0;
        for (var i = 0; i < hashes.Length; i++)
        {
            if (!_blocks.TryGetValue(hashes[i], out var block)) return new PrefixHit(i, evictable);
            if (_pool.References(block) == 0) evictable++;
        }

        return new PrefixHit(hashes.Length, evictable);
    }

    /// <summary>Shares the longest resident prefix into an empty table; returns its blocks.</summary>
    public int Match(BlockTable table, ReadOnlySpan<PrefixHash> hashes)
    {
        IntegrityException.Check(table.Count == 0, "A prefix is matched into a table that holds blocks already.");
        foreach (var hash in hashes)
        {
            if (!_blocks.TryGetValue(hash, out var block)) break;
            _pool.Share(table, block);
        }

        return table.Count;
    }

    /// <summary>
    /// Fills an empty table with one block for each hash: the resident one, wherever in the chain it is, or a new one.
    /// Returns the indices of the resident ones. For whoever computes none of the blocks and so needs no whole prefix.
    /// </summary>
    public List<int> MatchAny(BlockTable table, ReadOnlySpan<PrefixHash> hashes)
    {
        IntegrityException.Check(table.Count == 0, "Blocks are matched into a table that holds some already.");

        // Held first: a new block for an early gap must not evict a later hit.
        var (hits, held) = (new List<int>(), new BlockTable());
        for (var i = 0; i < hashes.Length; i++)
        {
            if (!_blocks.TryGetValue(hashes[i], out var block)) continue;
            _pool.Share(held, block);
            hits.Add(i);
        }

        for (var (i, hit) = (0, 0); i < hashes.Length; i++)
        {
            if (hit < hits.Count && hits[hit] == i) _pool.Share(table, held[hit++]);
            else IntegrityException.Check(_pool.TryGrow(table, i + 1), "The plan promised a block that is not there.");
        }

        _pool.Release(held);
        return hits;
    }

    /// <summary>What <see cref="MatchAny"/> would find now.</summary>
    public PrefixHit PeekAny(ReadOnlySpan<PrefixHash> hashes)
    {
        var (hits, evictable) = (0, 0);
        foreach (var hash in hashes)
        {
            if (!_blocks.TryGetValue(hash, out var block)) continue;
            hits++;
            if (_pool.References(block) == 0) evictable++;
        }

        return new PrefixHit(hits, evictable);
    }

    /// <summary>
    /// Makes the full, computed block at <paramref name="index"/> findable. When another block has that content
    /// already, the table takes that one and its own is freed: equal hashes mean equal bits (DESIGN section 6).
    /// </summary>
    /// <param name="keepOwn">The block may be being sent: it stays in the table and is not made findable.</param>
    public void Insert(BlockTable table, int index, PrefixHash hash, bool keepOwn = false)
    {
        var block = table[index];
        if (_blocks.TryGetValue(hash, out var known))
        {
            if (known != block && !keepOwn) _pool.Replace(table, index, known);
            return;
        }

        IntegrityException.Check(!_hashes.ContainsKey(block), $"{block} is inserted under a second hash.");
        _blocks.Add(hash, block);
        _hashes.Add(block, hash);
        _pool.Keep(block);
        Inserted?.Invoke(hash, block);
    }

    /// <summary>Throws <see cref="IntegrityException"/> unless cache and pool agree on which blocks are kept.</summary>
    public void CheckIntegrity()
    {
        IntegrityException.Check(_blocks.Count == _hashes.Count, "The prefix cache's two directions differ in size.");
        foreach (var (hash, block) in _blocks)
        {
            var back = _hashes.TryGetValue(block, out var stored) && stored == hash;
            IntegrityException.Check(back, $"{block} is found by a hash that is not its own.");
            IntegrityException.Check(_pool.IsCached(block), $"{block} is in the prefix cache but the pool frees it.");
        }

        for (var i = 0; i < _pool.TotalBlocks; i++)
        {
            var block = new BlockId(i);
            var known = _hashes.ContainsKey(block);
            IntegrityException.Check(known == _pool.IsCached(block), $"{block} is kept by the pool for no hash.");
        }
    }

    private void Forget(BlockId block)
    {
        if (!_hashes.Remove(block, out var hash)) return;
        _blocks.Remove(hash);
        Evicted?.Invoke(hash, block);
    }
}
