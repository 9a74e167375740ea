using Krewe.Abstractions;
using Krewe.Control.Tiers;

namespace Krewe.Control.Tests.Tiers;

public class LoadOrRecomputeTests
{
    private const int BlockTokens = 16;
    private const long BlockBytes = 1 << 20;
    private static readonly PrefillCost Prefill = new(1e-3, 0);

    [Theory]
    [InlineData(1e9, 10)] // 1.05 ms to load, 16 ms to compute
    [InlineData(1e7, 0)] // 105 ms to load
    public void Loads_only_when_it_is_cheaper(double bytesPerSecond, int expected)
    {
        TierRun[] runs = [new(KvTier.Disk, 10, new LoadCost(0, bytesPerSecond))];

        var decision = LoadOrRecompute.Choose(runs, 0, BlockTokens, BlockBytes, Prefill);

        Assert.Equal(expected, decision.Blocks);
    }

    [Fact]
    public void A_busy_tier_is_left_alone()
    {
        TierRun[] idle = [new(KvTier.Disk, 4, new LoadCost(0, 1e9))];
        TierRun[] busy = [new(KvTier.Disk, 4, new LoadCost(0, 1e9, QueuedBytes: 1L << 30))];

        Assert.Equal(4, LoadOrRecompute.Choose(idle, 0, BlockTokens, BlockBytes, Prefill).Blocks);
        Assert.Equal(0, LoadOrRecompute.Choose(busy, 0, BlockTokens, BlockBytes, Prefill).Blocks);
    }

    [Fact]
    public void A_fast_run_is_taken_and_the_slow_one_behind_it_is_computed()
    {
        TierRun[] runs =
        [
            new(KvTier.Host, 8, new LoadCost(0, 5e9)),
            new(KvTier.Remote, 8, new LoadCost(0, 1e7)),
        ];

        Assert.Equal(8, LoadOrRecompute.Choose(runs, 0, BlockTokens, BlockBytes, Prefill).Blocks);
    }

    [Fact]
    public void A_slow_run_is_taken_for_the_sake_of_the_fast_one_behind_it()
    {
        TierRun[] runs =
        [
            new(KvTier.Disk, 1, new LoadCost(0, 5e7)), // 21 ms against 16
            new(KvTier.Host, 8, new LoadCost(0, 5e9)),
        ];

        Assert.Equal(9, LoadOrRecompute.Choose(runs, 0, BlockTokens, BlockBytes, Prefill).Blocks);
    }

    [Fact]
    public void Later_positions_cost_more_to_compute()
    {
        var quadratic = new PrefillCost(0, 1e-6);
        TierRun[] runs = [new(KvTier.Disk, 4, new LoadCost(0, 1e8))]; // 42 ms

        Assert.Equal(0, LoadOrRecompute.Choose(runs, 0, BlockTokens, BlockBytes, quadratic).Blocks);
        Assert.Equal(4, LoadOrRecompute.Choose(runs, 16_000, BlockTokens, BlockBytes, quadratic).Blocks);
    }

    /// <summary>The remark's claim: no other number of blocks is better.</summary>
    [Fact]
    public void The_choice_is_the_best_of_all_prefixes()
    {
        var random = new Random(7);
        for (var i = 0; i < 2000; i++)
        {
            var runs = Enumerable.Range(0, random.Next(1, 4)).Select(_ => new TierRun(
                KvTier.Disk, random.Next(1, 9),
                new LoadCost(random.NextDouble() * 0.05, 1e7 * (1 + (random.NextDouble() * 50))))).ToArray();
            var prefill = new PrefillCost(random.NextDouble() * 1e-3, random.NextDouble() * 1e-6);
            var first = random.Next(0, 1000);

            var decision = LoadOrRecompute.Choose(runs, first, BlockTokens, BlockBytes, prefill);

            var best = Enumerable.Range(0, runs.Sum(run => run.Blocks) + 1)
                .Max(blocks => Gain(runs, first, blocks, prefill));
            Assert.Equal(best, decision.RecomputeSeconds - decision.LoadSeconds, 9);
        }
    }

    private static double Gain(TierRun[] runs, int first, int blocks, PrefillCost prefill)
    {
        var (load, left) = (0.0, blocks);
        foreach (var run in runs)
        {
            var taken = Math.Min(left, run.Blocks);
            if (taken > 0) load += run.Cost.Seconds(taken * BlockBytes);
            left -= taken;
        }

        return prefill.Seconds(first, first + (blocks * BlockTokens)) - load;
    }
}
