using Krewe.Control.Kv;

namespace Krewe.Control.Tests.Kv;

public sealed class PrefixCacheTests
{
    private const int BlockTokens = 4;

    [Fact]
    public void A_hash_depends_on_model_salt_parent_and_tokens()
    {
        var root = PrefixHash.Root("model", "");
        var first = root.Next([1, 2, 3, 4]);
        PrefixHash[] different =
        [
            PrefixHash.Root("model-2", "").Next([1, 2, 3, 4]),
            PrefixHash.Root("model", "tenant").Next([1, 2, 3, 4]),
            root.Next([1, 2, 4, 3]),
            first.Next([1, 2, 3, 4]),
        ];
        Assert.DoesNotContain(first, different);
        Assert.Equal(first, PrefixHash.Root("model", "").Next([1, 2, 3, 4]));
    }

    [Fact]
    public void Model_and_salt_cannot_be_shifted_into_each_other() =>
        Assert.NotEqual(PrefixHash.Root("a", "bc"), PrefixHash.Root("ab", "c"));

    [Fact]
    public void The_longest_resident_prefix_is_shared()
    {
        var (pool, cache) = Make(8);
        var held = Filled(pool, cache, [1, 2, 3, 4, 5, 6, 7, 8]);
        var table = new BlockTable();
        Assert.Equal(2, cache.Match(table, Chain([1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]).Hashes));
        Assert.Equal(held.Span.ToArray(), table.Span.ToArray());
        Assert.Equal(1, cache.Match(new BlockTable(), Chain([1, 2, 3, 4, 5, 6, 7, 0]).Hashes));
        Assert.Equal(0, cache.Match(new BlockTable(), Chain([0, 2, 3, 4, 5, 6, 7, 8]).Hashes));
    }

    [Fact]
    public void Equal_content_computed_twice_is_kept_once_and_the_second_copy_is_freed()
    {
        var (pool, cache) = Make(4);
        var (a, b) = (new BlockTable(), new BlockTable());
        pool.TryGrow(a, 2);
        pool.TryGrow(b, 2);
        var hash = Chain([1, 2, 3, 4]).Hashes[0];
        cache.Insert(a, 0, hash);
        cache.Insert(b, 0, hash);
        Assert.Equal(a[0], b[0]);
        Assert.Equal(1, pool.FreeBlocks);
        pool.CheckIntegrity([a, b]);
    }

    [Fact]
    public void The_least_recently_released_block_is_evicted_first_and_children_before_parents()
    {
        var (pool, cache) = Make(4);
        var old = Filled(pool, cache, [1, 1, 1, 1, 2, 2, 2, 2]);
        var young = Filled(pool, cache, [3, 3, 3, 3, 4, 4, 4, 4]);
        pool.Release(old);
        pool.Release(young);
        Assert.Equal(4, pool.EvictableBlocks);

        pool.TryGrow(new BlockTable(), 1);
        Assert.Equal(1, cache.Peek(Chain([1, 1, 1, 1, 2, 2, 2, 2]).Hashes).Blocks);
        pool.TryGrow(new BlockTable(), 1);
        Assert.Equal(0, cache.Peek(Chain([1, 1, 1, 1, 2, 2, 2, 2]).Hashes).Blocks);
        Assert.Equal(new PrefixHit(2, 2), cache.Peek(Chain([3, 3, 3, 3, 4, 4, 4, 4]).Hashes));
        cache.CheckIntegrity();
    }

    private static (BlockPool Pool, PrefixCache Cache) Make(int blocks)
    {
        var pool = new BlockPool(blocks);
        return (pool, new PrefixCache(pool));
    }

    private static PrefixChain Chain(int[] tokens)
    {
        var chain = new PrefixChain(PrefixHash.Root("model", ""), BlockTokens);
        chain.Cover(tokens);
        return chain;
    }

    private static BlockTable Filled(BlockPool pool, PrefixCache cache, int[] tokens)
    {
        var chain = Chain(tokens);
        var table = new BlockTable();
        Assert.True(pool.TryGrow(table, chain.Hashes.Length));
        for (var i = 0; i < table.Count; i++) cache.Insert(table, i, chain.Hashes[i]);
        return table;
    }
}
