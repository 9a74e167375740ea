using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>Steps queued before the last one's tokens are known: nobody can tell from what comes out.</summary>
public sealed class AheadTests
{
    private static readonly int[] EndTokens = [3, 50, 51, 99, 180];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whatever_comes_and_goes_the_tokens_are_those_of_steps_that_are_waited_for(bool late)
    {
        long ahead = 0;
        for (var seed = 0; seed < 25; seed++) ahead += await CompareAsync(seed, late, device => device);
        Assert.True(ahead > 300, $"only {ahead} steps were ahead");
    }

    [Fact]
    public async Task A_device_that_takes_another_rows_token_is_caught() =>
        await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(async () =>
        {
            for (var seed = 0; seed < 25; seed++)
            {
                await CompareAsync(seed, late: true, device =>
                {
                    device.MixesUpRows = true;
                    return device;
                });
            }
        });

    [Fact]
    public async Task What_ends_at_a_stop_token_leaves_a_row_that_counts_for_nothing()
    {
        int[] prompt = [1, 2, 3];
        var answer = FakeRunner.Answer(prompt, 12);
        await using var bench = Bench(late: true, endTokens: [answer[5]]);
        var stop = Array.IndexOf(answer, answer[5]);
        bench.Post(Start("stops", prompt, maxOutput: 12));
        bench.Post(Start("beside", [7, 8], maxOutput: 3));
        bench.Finish();

        Assert.Equal(answer[..(stop + 1)], bench.Owner.Tokens("stops"));
        Assert.Equal(FinishReason.Stop, bench.Owner.Finish("stops"));
        Assert.True(bench.Engine.StepsAhead > 0);
        bench.AssertAllReturned();
        // One step for the prompts and one a token; the row behind the stop is the only one too many.
        Assert.Equal(stop + 2, bench.Runner.Steps);
    }

    [Fact]
    public async Task Who_arrives_is_computed_at_the_next_turn()
    {
        await using var bench = Bench(late: true);
        bench.Post(Start("first", [1, 2, 3], maxOutput: 40));
        for (var turn = 0; turn < 6; turn++) Assert.True(bench.Engine.Turn());
        Assert.True(bench.Engine.StepsAhead > 0);
        bench.Post(Start("second", [4, 5, 6], maxOutput: 4));
        bench.Engine.Turn();

        Assert.Contains(SequenceEventKind.PrefillFinished, bench.Owner.Kinds("second"));
        bench.Finish();
        Assert.Equal(FakeRunner.Answer([1, 2, 3], 40), bench.Owner.Tokens("first"));
        Assert.Equal(FakeRunner.Answer([4, 5, 6], 4), bench.Owner.Tokens("second"));
    }

    [Fact]
    public async Task A_fault_under_way_ends_only_the_sequence_that_causes_it()
    {
        var answer = FakeRunner.Answer([4, 5, 6], 30);
        await using var bench = Bench(late: true);
        bench.Runner.BeforeRun = batch =>
        {
            if (batch.Tokens.AsSpan(0, batch.RowCount).Contains(answer[9]))
                throw new InvalidOperationException($"token {answer[9]}");
        };
        bench.Post(Start("bad", [4, 5, 6], maxOutput: 30));
        bench.Post(Start("good", GoodPrompt(answer[9]), maxOutput: 20));
        bench.Finish();

        var first = Array.IndexOf(answer, answer[9]);
        Assert.Equal(nameof(ErrorCode.EngineFault), bench.Owner.Event("bad", SequenceEventKind.Failed).ErrorCode);
        Assert.Equal(answer[..(first + 1)], bench.Owner.Tokens("bad"));
        Assert.Equal(FakeRunner.Answer(GoodPrompt(answer[9]), 20), bench.Owner.Tokens("good"));
        Assert.True(bench.Engine.StepsAhead > 0);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task Logits_under_way_that_are_no_numbers_fail_their_sequence_by_name()
    {
        var answer = FakeRunner.Answer([4, 5, 6], 30);
        await using var bench = Bench(late: false);
        bench.Runner.PoisonToken = answer[9];
        bench.Post(Start("nan", [4, 5, 6], maxOutput: 30));
        bench.Post(Start("good", GoodPrompt(answer[9]), maxOutput: 20));
        bench.Finish();

        Assert.Equal(nameof(ErrorCode.EngineFault), bench.Owner.Event("nan", SequenceEventKind.Failed).ErrorCode);
        Assert.Equal(FakeRunner.Answer(GoodPrompt(answer[9]), 20), bench.Owner.Tokens("good"));
        Assert.True(bench.Engine.StepsAhead > 0);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task An_engine_that_ends_with_a_step_under_way_leaves_it()
    {
        LateRunner? device = null;
        var bench = new EngineBench(wrap: inner => device = new LateRunner(inner, late: true));
        bench.Post(Start("left", [1, 2, 3], maxOutput: 40));
        for (var turn = 0; turn < 6; turn++) bench.Engine.Turn();
        Assert.True(bench.Engine.StepsAhead > 0);
        await bench.DisposeAsync();
        // The runner is free again.
        var batch = new StepBatch();
        batch.Add([1], 0, [0], FakeRunner.Geometry.BlockTokens, wantLogits: true);
        device!.Run(batch);
    }

    /// <summary>A prompt whose answer lacks the token that the test makes a fault of.</summary>
    private static int[] GoodPrompt(int without)
    {
        for (var seed = 0; ; seed++)
        {
            var prompt = Prompt(seed, 5);
            if (!prompt.Concat(FakeRunner.Answer(prompt, 20)).Contains(without)) return prompt;
        }
    }

    private static EngineBench Bench(bool late, IReadOnlyList<int>? endTokens = null) =>
        new(endTokens: endTokens, wrap: inner => new LateRunner(inner, late));

    /// <summary>The same requests on a runner that is waited for and on one that is not; how many steps were ahead.
    /// </summary>
    private static async Task<long> CompareAsync(int seed, bool late, Func<LateRunner, LateRunner> spoil)
    {
        var random = new Random(seed);
        var blocks = random.Next(24, 60);
        await using var plain = new EngineBench(blocks, budget: random.Next(8, 64), endTokens: EndTokens);
        await using var bench = new EngineBench(
            blocks, budget: random.Next(8, 64), endTokens: EndTokens, wrap: inner =>
            {
                var device = spoil(new LateRunner(inner, late));
                var moods = new Random(seed);
                device.Refuses = () => moods.Next(10) == 0;
                return device;
            });
        var aborted = new HashSet<string>();
        for (var i = 0; i < 30; i++)
        {
            var start = Draw(random, i);
            plain.Post(start.Clone());
            bench.Post(start);
            for (var turns = random.Next(8); turns > 0; turns--)
            {
                bench.Engine.Turn();
                bench.Engine.CheckIntegrity();
            }

            if (random.Next(8) > 0) continue;
            var leaves = $"r{random.Next(i + 1)}";
            aborted.Add(leaves);
            bench.Abort(leaves);
        }

        plain.Finish();
        bench.Finish();
        bench.AssertAllReturned();
        for (var i = 0; i < 30; i++)
        {
            var expected = plain.Owner.Tokens($"r{i}");
            var actual = bench.Owner.Tokens($"r{i}");
            if (aborted.Contains($"r{i}") && actual.Length < expected.Length) expected = expected[..actual.Length];
            else Assert.Equal(plain.Owner.Finish($"r{i}"), bench.Owner.Finish($"r{i}"));
            Assert.Equal(expected, actual);
        }

        return bench.Engine.StepsAhead;
    }

    private static StartSequence Draw(Random random, int i)
    {
        var start = Start(
            $"r{i}", Prompt(random.Next(6), random.Next(1, 90)), maxOutput: random.Next(1, 60),
            priority: random.Next(3));
        start.Sampling.Seed = (uint)random.Next(1000);
        // A hot one draws anything: streams then differ by their seeds and positions alone.
        if (random.Next(2) == 0) start.Sampling.Temperature = 3;
        if (random.Next(4) == 0) start.Sampling.TopK = 20;
        // Some need the logits on the CPU now or for a while.
        if (random.Next(10) == 0) start.Sampling.RepetitionPenalty = 1.2f;
        if (random.Next(10) == 0) start.MinOutputTokens = 5;
        return start;
    }
}
