using Krewe.Control.Kv;
using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Kv;

public sealed class EvictionOrderTests
{
    private const int BlockTokens = 4;

    public static TheoryData<string, Func<int, IEvictionOrder>> Orders => new()
    {
        { nameof(LruOrder), blocks => new LruOrder(blocks) },
        { nameof(ReuseCostOrder), blocks => new ReuseCostOrder(blocks, BlockTokens) },
    };

    [Theory]
    [MemberData(nameof(Orders))]
    public void Random_work_keeps_pool_and_cache_whole(string name, Func<int, IEvictionOrder> make)
    {
        Assert.NotNull(name);
        for (var seed = 0; seed < 30; seed++) PoolWalk.Run(seed, steps: 400, breakIt: false, make);
    }

    [Theory]
    [MemberData(nameof(Orders))]
    public void Children_go_before_their_parents(string name, Func<int, IEvictionOrder> make)
    {
        Assert.NotNull(name);
        var evictions = 0;
        for (var seed = 0; seed < 20; seed++) evictions += WalkChecked(seed, make);
        Assert.True(evictions > 1000, $"only {evictions} evictions");
    }

    [Fact]
    public void An_order_that_takes_parents_first_is_caught() => Assert.Throws<InvalidOperationException>(() =>
    {
        for (var seed = 0; seed < 20; seed++) WalkChecked(seed, blocks => new RootsFirst(blocks));
    });

    [Fact]
    public void What_is_used_often_outlives_what_was_used_last()
    {
        var (pool, cache) = Make(3);
        for (var i = 0; i < 5; i++) Hold(pool, cache, [1, 1, 1, 1]);
        Hold(pool, cache, [2, 2, 2, 2]);
        Hold(pool, cache, [3, 3, 3, 3]);
        Hold(pool, cache, [4, 4, 4, 4]);
        Assert.Equal(1, cache.Peek(Chain([1, 1, 1, 1]).Hashes).Blocks);
        Assert.Equal(0, cache.Peek(Chain([2, 2, 2, 2]).Hashes).Blocks);
    }

    [Fact]
    public void Of_two_equally_used_the_one_that_is_dearer_to_compute_stays()
    {
        // A pair costs as much as a row: the third block of a prompt is several times as dear as a first one.
        var costs = StepTimeCoefficients.ColdStart with { PairMs = StepTimeCoefficients.ColdStart.RowMs };
        var order = new ReuseCostOrder(5, BlockTokens) { HalfLifeEntries = 1000, Costs = costs };
        var pool = new BlockPool(5, order);
        var cache = new PrefixCache(pool);
        Hold(pool, cache, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        Hold(pool, cache, [4, 4, 4, 4]);
        Hold(pool, cache, [5, 5, 5, 5]);
        Hold(pool, cache, [6, 6, 6, 6]);
        Assert.Equal(3, cache.Peek(Chain([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]).Hashes).Blocks);
        Assert.Equal(0, cache.Peek(Chain([4, 4, 4, 4]).Hashes).Blocks);
    }

    [Fact]
    public void Evicting_by_cost_allocates_nothing()
    {
        var order = new ReuseCostOrder(64, BlockTokens);
        void Turn(int block)
        {
            order.Enter(block, block > 0 ? block - 1 : null, block);
            order.Add(block);
        }

        for (var block = 0; block < 64; block++) Turn(block);
        Assert.Equal(0, Allocations.Of(() =>
        {
            for (var i = 0; i < 1000; i++) Turn(order.TakeNext());
        }));
    }

    private static int WalkChecked(int seed, Func<int, IEvictionOrder> make)
    {
        var evictions = 0;
        PoolWalk.Run(seed, steps: 300, breakIt: false, blocks => new Checked(blocks, make(blocks), () => evictions++));
        return evictions;
    }

    private static (BlockPool Pool, PrefixCache Cache) Make(int blocks)
    {
        var pool = new BlockPool(blocks, new ReuseCostOrder(blocks, BlockTokens) { HalfLifeEntries = 100 });
        return (pool, new PrefixCache(pool));
    }

    private static void Hold(BlockPool pool, PrefixCache cache, int[] tokens)
    {
        var (chain, table) = (Chain(tokens), new BlockTable());
        var hits = cache.Match(table, chain.Hashes);
        Assert.True(pool.TryGrow(table, chain.Hashes.Length));
        for (var i = hits; i < table.Count; i++) cache.Insert(table, i, chain.Hashes[i]);
        pool.Release(table);
    }

    private static PrefixChain Chain(int[] tokens)
    {
        var chain = new PrefixChain(PrefixHash.Root("model", ""), BlockTokens);
        chain.Cover(tokens);
        return chain;
    }

    /// <summary>Throws when a victim has an evictable child.</summary>
    private sealed class Checked(int blocks, IEvictionOrder inner, Action evicted) : IEvictionOrder
    {
        private readonly int?[] _parents = new int?[blocks];

        public int Count => inner.Count;

        public void Enter(int block, int? parent, int index)
        {
            _parents[block] = parent;
            inner.Enter(block, parent, index);
        }

        public void Use(int block) => inner.Use(block);

        public void Add(int block) => inner.Add(block);

        public void Remove(int block) => inner.Remove(block);

        public int TakeNext()
        {
            evicted();
            var victim = inner.TakeNext();
            if (inner.InOrder().Any(block => _parents[block] == victim))
                throw new InvalidOperationException($"{victim} goes before its child");
            _parents[victim] = null;
            return victim;
        }

        public IEnumerable<int> InOrder() => inner.InOrder();
    }

    private sealed class RootsFirst(int blocks) : IEvictionOrder
    {
        private readonly int[] _index = new int[blocks];
        private readonly List<int> _evictable = [];

        public int Count => _evictable.Count;

        public void Enter(int block, int? parent, int index) => _index[block] = index;

        public void Use(int block)
        {
        }

        public void Add(int block) => _evictable.Add(block);

        public void Remove(int block) => _evictable.Remove(block);

        public int TakeNext()
        {
            var victim = _evictable.MinBy(block => _index[block]);
            _evictable.Remove(victim);
            return victim;
        }

        public IEnumerable<int> InOrder() => _evictable;
    }
}
