using Krewe.Control.Kv;

namespace Krewe.Control.Tests.Kv;

/// <summary>
/// Random admissions, growth, inserts and releases against pool and cache. Each block carries the content that its
/// holder wrote; a match must find exactly the content its hash names. Integrity is checked after every step.
/// </summary>
internal static class PoolWalk
{
    private const int BlockTokens = 4;

    public static void Run(int seed, int steps, bool breakIt, Func<int, IEvictionOrder>? order = null)
    {
        var random = new Random(seed);
        var blocks = random.Next(4, 24);
        var pool = new BlockPool(blocks, order?.Invoke(blocks));
        var cache = new PrefixCache(pool);
        var contents = new PrefixHash[pool.TotalBlocks];
        var live = new List<Holder>();
        for (var step = 0; step < steps; step++)
        {
            if (live.Count == 0 || random.Next(3) > 0) Admit(random, pool, cache, contents, live);
            else
            {
                var gone = live[random.Next(live.Count)];
                live.Remove(gone);
                if (!breakIt || step < steps / 2) pool.Release(gone.Table);
            }

            pool.CheckIntegrity(live.Select(holder => holder.Table));
            cache.CheckIntegrity();
            foreach (var holder in live) holder.Verify(contents, seed);
        }

        foreach (var holder in live) pool.Release(holder.Table);
        pool.CheckIntegrity([]);
        Assert.Equal(0, pool.PinnedBlocks);
    }

    private static void Admit(
        Random random, BlockPool pool, PrefixCache cache, PrefixHash[] contents, List<Holder> live)
    {
        // Two token values and short prompts: prefixes collide often.
        var tokens = Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(2)).ToArray();
        var chain = new PrefixChain(PrefixHash.Root("model", random.Next(2) == 0 ? "" : "tenant"), BlockTokens);
        chain.Cover(tokens);
        var table = new BlockTable();
        var peek = cache.Peek(chain.Hashes);
        var hits = cache.Match(table, chain.Hashes);
        Assert.Equal(peek.Blocks, hits);
        if (!pool.TryGrow(table, (tokens.Length + BlockTokens - 1) / BlockTokens))
        {
            pool.Release(table);
            return;
        }

        var holder = new Holder(table, chain);
        live.Add(holder);
        for (var i = hits; i < chain.Hashes.Length; i++)
        {
            contents[table[i].Value] = chain.Hashes[i];
            cache.Insert(table, i, chain.Hashes[i]);
        }
    }

    private sealed record Holder(BlockTable Table, PrefixChain Chain)
    {
        public void Verify(PrefixHash[] contents, int seed)
        {
            for (var i = 0; i < Chain.Hashes.Length; i++)
                Assert.True(contents[Table[i].Value] == Chain.Hashes[i], $"seed {seed}: block {i} holds other content");
        }
    }
}
