using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

public sealed class EngineTests
{
    [Fact]
    public async Task One_sequence_gets_the_models_answer_and_gives_everything_back()
    {
        await using var bench = new EngineBench();
        var prompt = Prompt(1, 37);
        bench.Post(Start("a", prompt, maxOutput: 40));
        bench.Finish();
        Assert.Equal(FakeRunner.Answer(prompt, 40), bench.Owner.Tokens("a"));
        Assert.Equal(FinishReason.Length, bench.Owner.Finish("a"));
        Assert.Equal(
            [SequenceEventKind.Accepted, SequenceEventKind.PrefillStarted, SequenceEventKind.PrefillFinished,
                SequenceEventKind.DecodeStarted, SequenceEventKind.Released],
            bench.Owner.Kinds("a"));
        bench.AssertAllReturned();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(16)]
    [InlineData(100)]
    [InlineData(512)]
    public async Task Chunks_of_any_size_give_the_same_tokens(int budget)
    {
        await using var bench = new EngineBench(budget: budget);
        foreach (var length in new[] { 1, 15, 16, 17, 31, 32, 33, 150 })
            bench.Post(Start($"p{length}", Prompt(length, length), maxOutput: 20));
        bench.Finish();
        foreach (var length in new[] { 1, 15, 16, 17, 31, 32, 33, 150 })
            Assert.Equal(FakeRunner.Answer(Prompt(length, length), 20), bench.Owner.Tokens($"p{length}"));
        Assert.True(bench.Runner.RowsMax <= budget);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task Preempted_sequences_go_on_with_the_same_tokens()
    {
        // Ten sequences that end with 5 blocks each, in a pool of 14: decodes must take blocks from each other.
        await using var bench = new EngineBench(blocks: 14, budget: 64, prefixCache: false);
        for (var i = 0; i < 10; i++) bench.Post(Start($"s{i}", Prompt(i, 12), maxOutput: 60, priority: i % 2));
        bench.Finish();
        for (var i = 0; i < 10; i++) Assert.Equal(FakeRunner.Answer(Prompt(i, 12), 60), bench.Owner.Tokens($"s{i}"));
        Assert.True(bench.Engine.Load.PrefillTokens > 10 * 12, "nothing was preempted: the test tests nothing");
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task A_known_prefix_is_not_computed_again_and_changes_no_token()
    {
        await using var bench = new EngineBench();
        var prompt = Prompt(3, 64);
        bench.Post(Start("first", prompt, maxOutput: 10));
        bench.Finish();
        bench.Post(Start("same", prompt, maxOutput: 10));
        bench.Post(Start("longer", [.. prompt, 5, 6, 7], maxOutput: 10));
        bench.Finish();
        Assert.Equal(bench.Owner.Tokens("first"), bench.Owner.Tokens("same"));
        Assert.Equal(FakeRunner.Answer([.. prompt, 5, 6, 7], 10), bench.Owner.Tokens("longer"));

        // A full hit still computes the last block, whose last row gives the logits.
        Assert.Equal(48u, bench.Owner.Event("same", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        Assert.Equal(64u, bench.Owner.Event("longer", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task Another_salt_finds_nothing()
    {
        await using var bench = new EngineBench();
        bench.Post(Start("mine", Prompt(3, 64), maxOutput: 2));
        bench.Finish();
        var other = Start("theirs", Prompt(3, 64), maxOutput: 2);
        other.PrefixSalt = "tenant";
        bench.Post(other);
        bench.Finish();
        Assert.Equal(0u, bench.Owner.Event("theirs", SequenceEventKind.PrefillStarted).PrefixHitTokens);
    }

    [Fact]
    public async Task A_stream_is_continued_from_the_tokens_that_were_accepted()
    {
        await using var bench = new EngineBench();
        var prompt = Prompt(4, 30);
        var whole = FakeRunner.Answer(prompt, 25);
        bench.Post(Start("a", prompt, maxOutput: 25, epoch: 2, output: whole[..9]));
        bench.Finish();
        Assert.Equal(whole[9..], bench.Owner.Tokens("a", epoch: 2));
    }

    [Fact]
    public async Task Stop_tokens_end_a_stream_and_are_reported()
    {
        var prompt = Prompt(5, 20);
        var answer = FakeRunner.Answer(prompt, 12);
        await using var bench = new EngineBench(endTokens: [answer[7]]);
        var stop = Start("stop", prompt, maxOutput: 12);
        stop.StopTokens.Add((uint)answer[4]);
        bench.Post(stop);
        bench.Post(Start("end", prompt, maxOutput: 12));
        var ignoring = Start("ignoring", prompt, maxOutput: 12);
        ignoring.IgnoreEos = true;
        bench.Post(ignoring);
        bench.Finish();
        Assert.Equal(answer[..(Array.IndexOf(answer, answer[4]) + 1)], bench.Owner.Tokens("stop"));
        Assert.Equal(FinishReason.Stop, bench.Owner.Finish("stop"));
        Assert.Equal(answer[..(Array.IndexOf(answer, answer[7]) + 1)], bench.Owner.Tokens("end"));
        Assert.Equal(answer, bench.Owner.Tokens("ignoring"));
    }

    [Fact]
    public async Task Stop_tokens_are_masked_until_the_minimum()
    {
        var prompt = Prompt(6, 20);
        var answer = FakeRunner.Answer(prompt, 1);
        await using var bench = new EngineBench();
        var start = Start("a", prompt, maxOutput: 5);
        start.StopTokens.Add((uint)answer[0]);
        start.MinOutputTokens = 3;
        bench.Post(start);
        bench.Finish();
        Assert.NotEqual(answer[0], bench.Owner.Tokens("a")[0]);
        Assert.True(bench.Owner.Tokens("a").Length >= 4);
    }

    [Fact]
    public async Task The_context_end_finishes_a_stream()
    {
        await using var bench = new EngineBench();
        bench.Post(Start("a", Prompt(7, FakeRunner.ContextMax - 5), maxOutput: 100));
        bench.Finish();
        Assert.Equal(5, bench.Owner.Tokens("a").Length);
        Assert.Equal(FinishReason.Length, bench.Owner.Finish("a"));
    }

    [Fact]
    public async Task Log_probabilities_come_with_the_tokens_that_asked_for_them()
    {
        await using var bench = new EngineBench();
        var seen = new List<TokenRun>();
        var start = Start("a", Prompt(8, 5), maxOutput: 3);
        start.Sampling.TopLogprobs = 2;
        bench.Engine.Post(new EngineCommand.Start(new CollectingOwner(seen), start));
        bench.Finish();
        Assert.All(seen, run => Assert.Equal(run.Tokens[0], run.Logprobs.Single().TopTokens[0]));
    }

    private sealed class CollectingOwner(List<TokenRun> runs) : ISequenceOwner
    {
        public void Deliver(TokenBatch tokens) => runs.AddRange(tokens.Runs);

        public void Deliver(SequenceEvent change)
        {
        }
    }
}
