using Krewe.Control.Kv;
using Krewe.Control.Steps;

namespace Krewe.Simulation;

/// <summary>What one replay came to.</summary>
/// <param name="HitRate">Share of all prompt blocks that were found.</param>
/// <param name="SavedShare">Share of all prefill time that the found blocks saved.</param>
public readonly record struct PrefixReplayResult(double HitRate, double SavedShare);

/// <summary>
/// Replays a trace's prompts one after the other on the production block pool and prefix cache: how much of them an
/// eviction order keeps findable. Each prompt is held only while it is looked up and inserted, so the whole pool is
/// cache; a prompt longer than the pool is cut to it.
/// </summary>
public static class PrefixReplay
{
    /// <param name="blockTokens">Tokens of one of the trace's blocks.</param>
    /// <param name="costs">What computing a block costs at its place.</param>
    public static PrefixReplayResult Run(
        PrefixTrace trace, int blocks, int blockTokens, IEvictionOrder order, StepTimeCoefficients costs)
    {
        var pool = new BlockPool(blocks, order);
        var cache = new PrefixCache(pool);
        var table = new BlockTable();
        var (found, all, savedMs, allMs) = (0L, 0L, 0.0, 0.0);
        foreach (var prompt in trace.Prompts)
        {
            var hashes = prompt.AsSpan(0, Math.Min(prompt.Length, blocks));
            var hits = cache.Match(table, hashes);
            IntegrityException.Check(pool.TryGrow(table, hashes.Length), "An empty pool cannot hold its own size.");
            for (var i = hits; i < hashes.Length; i++) cache.Insert(table, i, hashes[i]);
            pool.Release(table);
            found += hits;
            all += prompt.Length;
            savedMs += BlocksMs(hits);
            allMs += BlocksMs(prompt.Length);
        }

        return new PrefixReplayResult((double)found / all, savedMs / allMs);

        double BlocksMs(int count)
        {
            var tokens = count * blockTokens;
            return (costs.RowMs * tokens) + (costs.PairMs * StepWork.Pairs(0, tokens));
        }
    }
}
