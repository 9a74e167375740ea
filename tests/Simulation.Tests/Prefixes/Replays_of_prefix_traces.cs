using Krewe.Control.Kv;
using Krewe.Control.Steps;

namespace Krewe.Simulation.Tests.Prefixes;

public sealed class Replays_of_prefix_traces
{
    private const int BlockTokens = 512;

    [Fact]
    public void A_pool_that_holds_everything_finds_every_repeated_block()
    {
        var trace = PrefixTrace.Read(new StringReader(
            """
            {"timestamp": 0, "hash_ids": [1, 2, 3]}
            {"timestamp": 1, "hash_ids": [1, 2, 4]}
            {"timestamp": 2, "hash_ids": [5]}
            {"timestamp": 3, "hash_ids": [1, 2, 4, 6]}
            """));
        var result = Replay(trace, 100, new LruOrder(100));
        Assert.Equal(5.0 / 11, result.HitRate, 12);
        Assert.InRange(result.SavedShare, 0.3, 5.0 / 11);
    }

    [Fact]
    public void A_small_pool_finds_less_and_a_conversation_is_worth_more_than_single_prompts()
    {
        // One conversation that grows, between prompts that never come again.
        var lines = new List<string>();
        var fresh = 1000;
        for (var turn = 1; turn <= 12; turn++)
        {
            lines.Add($"{{\"hash_ids\": [{string.Join(", ", Enumerable.Range(1, turn))}]}}");
            for (var i = 0; i < 6; i++) lines.Add($"{{\"hash_ids\": [{fresh++}]}}");
        }

        var trace = PrefixTrace.Read(new StringReader(string.Join('\n', lines)));
        var all = Replay(trace, 200, new LruOrder(200));
        var lru = Replay(trace, 12, new LruOrder(12));
        var byCost = Replay(trace, 12, new ReuseCostOrder(12, BlockTokens) { HalfLifeEntries = 24, Costs = Costs });
        Assert.True(lru.HitRate < all.HitRate, $"{lru} {all}");
        Assert.True(byCost.SavedShare > lru.SavedShare, $"{byCost} {lru}");
    }

    [Theory]
    [InlineData("{\"hash_ids\": [1}")]
    [InlineData("{\"timestamp\": 3}")]
    [InlineData("nothing")]
    public void A_line_that_is_no_prompt_is_named(string line)
    {
        var error = Assert.Throws<SimulationException>(
            () => PrefixTrace.Read(new StringReader("{\"hash_ids\": [1]}\n" + line)));
        Assert.Contains("Line 2", error.Message, StringComparison.Ordinal);
    }

    private static StepTimeCoefficients Costs => StepTimeCoefficients.ColdStart;

    private static PrefixReplayResult Replay(PrefixTrace trace, int blocks, IEvictionOrder order) =>
        PrefixReplay.Run(trace, blocks, BlockTokens, order, Costs);
}
