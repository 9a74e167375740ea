using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>A worker's first steps take a hundred times as long as they will: nobody may pay for it twice.</summary>
public sealed class ColdStartTests
{
    private const double StepMs = 2;
    private const double RowMs = 0.1;
    private const double ColdMs = 2000;

    [Theory]
    [InlineData(1)]
    [InlineData(12)]
    public async Task A_long_prompt_after_cold_steps_is_not_passed_by_all_that_comes(int probes)
    {
        await using var bench = new EngineBench(blocks: 256, budget: 32, prefixCache: false);
        var steps = 0;
        bench.Runner.BeforeRun = batch => bench.Time.Advance(TimeSpan.FromMilliseconds(
            steps++ == 0 ? ColdMs : StepMs + (RowMs * batch.RowCount)));
        for (var i = 0; i < probes; i++)
        {
            bench.Post(Start($"probe{i}", Prompt(i, 5), maxOutput: 1));
            bench.Finish();
        }

        bench.Post(Start("long", Prompt(100, 320), maxOutput: 1));
        var passed = 0;
        for (; bench.Owner.Tokens("long").Length == 0; passed++)
        {
            Assert.True(passed < 60, "60 short prompts, each sent later, and the long one has no token");
            // One a step, which it fills: as many as can be computed.
            bench.Post(Start($"short{passed}", Prompt(200 + passed, 32), maxOutput: 1));
            bench.Engine.Turn();
        }

        bench.Finish();
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task A_short_prompt_still_passes_a_long_one_when_steps_are_known()
    {
        await using var bench = new EngineBench(blocks: 256, budget: 32, prefixCache: false);
        bench.Runner.BeforeRun = batch =>
            bench.Time.Advance(TimeSpan.FromMilliseconds(StepMs + (RowMs * batch.RowCount)));
        for (var i = 0; i < 12; i++)
        {
            bench.Post(Start($"probe{i}", Prompt(i, 5 + (2 * i)), maxOutput: 1));
            bench.Finish();
        }

        bench.Post(Start("long", Prompt(100, 320), maxOutput: 1));
        bench.Engine.Turn();
        bench.Post(Start("short", Prompt(101, 20), maxOutput: 1));
        while (bench.Owner.Tokens("short").Length == 0) bench.Engine.Turn();

        Assert.Empty(bench.Owner.Tokens("long"));
        bench.Finish();
        bench.AssertAllReturned();
    }
}
