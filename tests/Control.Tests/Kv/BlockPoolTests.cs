using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Control.Tests.Kv;

public sealed class BlockPoolTests
{
    [Fact]
    public void An_allocation_takes_all_it_asked_for_or_nothing()
    {
        var pool = new BlockPool(4);
        var table = new BlockTable();
        Assert.True(pool.TryGrow(table, 3));
        Assert.False(pool.TryGrow(new BlockTable(), 2));
        Assert.Equal((1, 0, 3), (pool.FreeBlocks, pool.EvictableBlocks, pool.PinnedBlocks));
        Assert.True(pool.TryGrow(table, 2)); // holds three already
        Assert.Equal(3, table.Count);
        pool.CheckIntegrity([table]);
    }

    [Fact]
    public void The_same_calls_give_the_same_blocks()
    {
        Assert.Equal(Run(), Run());

        static int[] Run()
        {
            var pool = new BlockPool(16);
            var (a, b, c) = (new BlockTable(), new BlockTable(), new BlockTable());
            pool.TryGrow(a, 5);
            pool.TryGrow(b, 4);
            pool.Release(a);
            pool.TryGrow(c, 7);
            return c.Span.ToArray();
        }
    }

    [Fact]
    public void A_shared_block_is_freed_by_its_last_holder()
    {
        var pool = new BlockPool(2);
        var cache = new PrefixCache(pool);
        var hash = PrefixHash.Root("model", "");
        var (first, second) = (new BlockTable(), new BlockTable());
        pool.TryGrow(first, 1);
        cache.Insert(first, 0, hash);
        Assert.Equal(1, cache.Match(second, [hash]));
        Assert.Equal(0, pool.ReleasableBlocks(first));
        pool.Release(first);
        Assert.Equal(1, pool.PinnedBlocks);
        Assert.Equal(1, pool.ReleasableBlocks(second));
        pool.Release(second);
        Assert.Equal((1, 1, 0), (pool.FreeBlocks, pool.EvictableBlocks, pool.PinnedBlocks));
        pool.CheckIntegrity([]);
    }

    [Fact]
    public void A_free_block_cannot_be_shared()
    {
        var pool = new BlockPool(2);
        Assert.Throws<IntegrityException>(() => pool.Share(new BlockTable(), new BlockId(1)));
    }

    // Positive control of CheckIntegrity: it must see a holder it was not told of, and one it was told of twice.
    [Fact]
    public void The_integrity_check_finds_a_leaked_and_a_doubly_held_block()
    {
        var pool = new BlockPool(4);
        var table = new BlockTable();
        pool.TryGrow(table, 2);
        pool.CheckIntegrity([table]);
        Assert.Contains("b0", Assert.Throws<IntegrityException>(() => pool.CheckIntegrity([])).Message);
        Assert.Throws<IntegrityException>(() => pool.CheckIntegrity([table, table]));
    }

    [Fact]
    public void Random_use_agrees_with_a_naive_model()
    {
        for (var seed = 0; seed < 30; seed++) PoolWalk.Run(seed, steps: 400, breakIt: false);
    }

    // Positive control: a pool whose release forgets shared references is caught by the same walk.
    [Fact]
    public void The_walk_catches_a_pool_that_leaks() =>
        Assert.ThrowsAny<Exception>(() => PoolWalk.Run(seed: 1, steps: 400, breakIt: true));
}
