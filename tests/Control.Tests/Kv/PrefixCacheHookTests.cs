using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Control.Tests.Kv;

public class PrefixCacheHookTests
{
    private static readonly PrefixHash Root = PrefixHash.Root("model", "");

    [Fact]
    public void Tells_what_enters_and_what_is_evicted_while_its_hash_is_known()
    {
        var pool = new BlockPool(2);
        var cache = new PrefixCache(pool);
        List<(PrefixHash Hash, BlockId Block)> inserted = [], evicted = [];
        cache.Inserted = (hash, block) => inserted.Add((hash, block));
        cache.Evicted = (hash, block) => evicted.Add((hash, block));
        var table = new BlockTable();
        pool.TryGrow(table, 2);
        var first = Root.Next([1]);
        var second = first.Next([2]);
        cache.Insert(table, 0, first);
        cache.Insert(table, 1, second);
        var (blockOfFirst, blockOfSecond) = (table[0], table[1]);
        Assert.Equal([(first, blockOfFirst), (second, blockOfSecond)], inserted);
        pool.Release(table);
        Assert.Equal([blockOfSecond, blockOfFirst], pool.InEvictionOrder());

        pool.TryGrow(table, 1);

        Assert.Equal([(second, blockOfSecond)], evicted);
        Assert.Null(cache.HashOf(blockOfSecond));
        Assert.Equal(first, cache.HashOf(blockOfFirst));
        Assert.Equal([first], cache.Hashes);
    }
}
