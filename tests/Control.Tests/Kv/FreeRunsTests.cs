using Krewe.Control.Kv;

namespace Krewe.Control.Tests.Kv;

/// <summary>Sequences get their blocks side by side where that can be had.</summary>
public sealed class FreeRunsTests
{
    [Fact]
    public void Sequences_that_grow_side_by_side_stay_in_few_runs()
    {
        var pool = new BlockPool(4096);
        var tables = Enumerable.Range(0, 24).Select(_ => new BlockTable()).ToArray();
        var scattered = tables.Select(_ => new List<int>()).ToArray();
        var stack = new Stack<int>(Enumerable.Range(0, 4096).Reverse()); // how it was: the control
        for (var blocks = 10; blocks <= 60; blocks++)
        {
            for (var i = 0; i < tables.Length; i++)
            {
                Assert.True(pool.TryGrow(tables[i], blocks));
                while (scattered[i].Count < blocks) scattered[i].Add(stack.Pop());
            }
        }

        pool.CheckIntegrity(tables);
        Assert.All(tables, table => Assert.InRange(RunsOf([.. table.Span]), 1, 2));
        Assert.All(scattered, blocks => Assert.Equal(51, RunsOf(blocks)));
    }

    [Fact]
    public void A_prompt_after_many_that_came_and_went_is_one_run()
    {
        var pool = new BlockPool(1000);
        var random = new Random(5);
        var live = new List<BlockTable>();
        for (var i = 0; i < 2000; i++)
        {
            var table = new BlockTable();
            if (pool.TryGrow(table, random.Next(1, 30))) live.Add(table);
            if (live.Count <= 12) continue;
            var gone = live[random.Next(live.Count)];
            live.Remove(gone);
            pool.Release(gone);
        }

        foreach (var table in live) pool.Release(table);
        pool.CheckIntegrity([]);
        var large = new BlockTable();
        Assert.True(pool.TryGrow(large, 1000)); // all free blocks have joined again
        Assert.Equal(1, RunsOf([.. large.Span]));
    }

    [Fact]
    public void What_is_evicted_for_one_prompt_is_handed_out_side_by_side()
    {
        var pool = new BlockPool(64);
        var cache = new PrefixCache(pool);
        var old = new BlockTable();
        Assert.True(pool.TryGrow(old, 64));
        var chain = new PrefixChain(PrefixHash.Root("model", ""), 1);
        chain.Cover(Enumerable.Range(0, 64).ToArray());
        for (var i = 0; i < 64; i++) cache.Insert(old, i, chain.Hashes[i]);
        pool.Release(old);

        var next = new BlockTable();
        Assert.True(pool.TryGrow(next, 20));
        Assert.Equal(1, RunsOf([.. next.Span]));
        Assert.Equal(44, pool.EvictableBlocks);
        pool.CheckIntegrity([next]);
    }

    [Fact]
    public void A_pool_in_pieces_is_used_to_the_last_block()
    {
        var pool = new BlockPool(40);
        var singles = Enumerable.Range(0, 40).Select(_ => new BlockTable()).ToArray();
        foreach (var table in singles) Assert.True(pool.TryGrow(table, 1));
        foreach (var table in singles.Where(table => table[0].Value % 2 == 0)) pool.Release(table);

        var scattered = new BlockTable();
        Assert.True(pool.TryGrow(scattered, 20));
        Assert.Equal(20, RunsOf([.. scattered.Span]));
        Assert.Equal(0, pool.FreeBlocks);
        pool.CheckIntegrity([.. singles.Where(table => table.Count > 0), scattered]);
    }

    private static int RunsOf(IReadOnlyList<int> blocks) =>
        blocks.Where((block, i) => i == 0 || block != blocks[i - 1] + 1).Count();
}
