using Krewe.Control.Kv;

namespace Krewe.Control.Tests.Kv;

/// <summary>Matching for a context that is pulled: every resident block counts, behind a gap too.</summary>
public sealed class PrefixMatchAnyTests
{
    private static readonly PrefixHash[] Chain = [new(1), new(2), new(3)];

    [Fact]
    public void Blocks_behind_a_gap_are_shared_and_the_gap_gets_a_new_one()
    {
        var pool = new BlockPool(4);
        var cache = new PrefixCache(pool);
        Remember(pool, cache, Chain);
        var tail = new BlockTable();
        Assert.Equal([0, 1], cache.MatchAny(tail, Chain.AsSpan(1)));

        // The first block is the only evictable one left: two others push it out.
        var others = new BlockTable();
        Assert.True(pool.TryGrow(others, 2));
        pool.Release(others);
        Assert.Equal(0, cache.Peek(Chain).Blocks);
        Assert.Equal(new PrefixHit(2, 0), cache.PeekAny(Chain));

        var table = new BlockTable();
        Assert.Equal([1, 2], cache.MatchAny(table, Chain));
        Assert.Equal((tail[0], tail[1]), (table[1], table[2]));
        Assert.NotEqual(tail[0], table[0]);
        pool.CheckIntegrity([tail, table]);
        cache.CheckIntegrity();
    }

    [Fact]
    public void A_new_block_for_a_gap_does_not_evict_a_later_hit()
    {
        var pool = new BlockPool(3);
        var cache = new PrefixCache(pool);
        Remember(pool, cache, [Chain[1]]);
        Remember(pool, cache, [new(8), new(9)]);
        Assert.Equal((0, 3), (pool.FreeBlocks, pool.EvictableBlocks));
        Assert.Equal(new PrefixHit(1, 1), cache.PeekAny(Chain.AsSpan(0, 2)));

        var table = new BlockTable();
        Assert.Equal([1], cache.MatchAny(table, Chain.AsSpan(0, 2)));
        Assert.Equal(2, pool.PinnedBlocks);
        pool.CheckIntegrity([table]);
        cache.CheckIntegrity();
    }

    [Fact]
    public void A_block_that_is_being_sent_stays_in_its_table()
    {
        var pool = new BlockPool(4);
        var cache = new PrefixCache(pool);
        Remember(pool, cache, [Chain[0]]);
        var table = new BlockTable();
        Assert.True(pool.TryGrow(table, 1));
        var own = table[0];
        cache.Insert(table, 0, Chain[0], keepOwn: true);
        Assert.Equal(own, table[0]);
        cache.Insert(table, 0, Chain[0]);
        Assert.NotEqual(own, table[0]);
        pool.CheckIntegrity([table]);
        cache.CheckIntegrity();
    }

    private static void Remember(BlockPool pool, PrefixCache cache, PrefixHash[] hashes)
    {
        var table = new BlockTable();
        Assert.True(pool.TryGrow(table, hashes.Length));
        for (var i = 0; i < hashes.Length; i++) cache.Insert(table, i, hashes[i]);
        pool.Release(table);
    }
}
