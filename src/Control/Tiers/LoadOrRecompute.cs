using Krewe.Abstractions;

namespace Krewe.Control.Tiers;

/// <summary>Neighbouring blocks of a prefix that the same tier would give.</summary>
/// <param name="Blocks">How many; the first follows the last of the run before.</param>
public readonly record struct TierRun(KvTier Tier, int Blocks, LoadCost Cost);

/// <summary>What the rule chose.</summary>
/// <param name="Blocks">Blocks to load, from the first of the first run; the rest is computed.</param>
/// <param name="LoadSeconds">Estimated for these blocks.</param>
/// <param name="RecomputeSeconds">Estimated for the same tokens.</param>
public readonly record struct LoadDecision(int Blocks, double LoadSeconds, double RecomputeSeconds);

/// <summary>
/// The one rule for every tier below the device (host, disk, remote): load only what costs less to load than to compute
/// again under the present load. Pure: both costs come from measurements of the caller.
/// </summary>
public static class LoadOrRecompute
{
    /// <summary>Chooses how many leading blocks of the runs to load.</summary>
    /// <remarks>
    /// Inside a run the gain, recompute(m) - load(m), is convex in the number of blocks m: loading is linear and a later
    /// block costs more to compute. So its best is at one of the run's ends, and only these are compared.
    /// </remarks>
    /// <param name="runs">In the order of the prefix, without a gap.</param>
    /// <param name="firstToken">Position of the first block's first token.</param>
    public static LoadDecision Choose(
        IReadOnlyList<TierRun> runs, int firstToken, int blockTokens, long blockBytes, PrefillCost prefill)
    {
        var best = default(LoadDecision);
        var (blocks, load) = (0, 0.0);
        foreach (var run in runs)
        {
            blocks += run.Blocks;
            load += run.Cost.Seconds(run.Blocks * blockBytes);
            var recompute = prefill.Seconds(firstToken, firstToken + (blocks * blockTokens));
            if (recompute - load > best.RecomputeSeconds - best.LoadSeconds)
                best = new LoadDecision(blocks, load, recompute);
        }

        return best;
    }
}
