using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

public sealed class EngineFaultTests
{
    [Fact]
    public async Task A_fault_ends_only_the_sequence_that_causes_it()
    {
        await using var bench = new EngineBench();
        bench.Runner.BeforeRun = batch =>
        {
            if (batch.Tokens.AsSpan(0, batch.RowCount).Contains(200)) throw new InvalidOperationException("token 200");
        };
        bench.Post(Start("good", [1, 2, 3], maxOutput: 3));
        bench.Post(Start("bad", [1, 200, 3], maxOutput: 3));
        bench.Post(Start("fine", [4, 5, 6], maxOutput: 3));
        bench.Finish();
        Assert.Equal(FakeRunner.Answer([1, 2, 3], 3), bench.Owner.Tokens("good"));
        Assert.Equal(FakeRunner.Answer([4, 5, 6], 3), bench.Owner.Tokens("fine"));
        Assert.Equal(nameof(ErrorCode.EngineFault), bench.Owner.Event("bad", SequenceEventKind.Failed).ErrorCode);
        Assert.Equal(SequenceEventKind.Released, bench.Owner.Kinds("bad")[^1]);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task A_step_that_fails_only_together_ends_its_sequences_and_not_the_engine()
    {
        await using var bench = new EngineBench(prefixCache: false);
        bench.Runner.BeforeRun = batch =>
        {
            if (batch.SequenceCount > 1) throw new InvalidOperationException("too many");
        };
        bench.Post(Start("a", [1, 2, 3], maxOutput: 3));
        bench.Post(Start("b", [1, 2, 3], maxOutput: 3));
        bench.Finish();
        Assert.Contains(SequenceEventKind.Failed, bench.Owner.Kinds("a"));
        Assert.Contains(SequenceEventKind.Failed, bench.Owner.Kinds("b"));
        bench.Post(Start("c", [1, 2, 3], maxOutput: 3));
        bench.Finish();
        Assert.Equal(FakeRunner.Answer([1, 2, 3], 3), bench.Owner.Tokens("c"));
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task Logits_that_are_no_numbers_fail_their_sequence_by_name()
    {
        await using var bench = new EngineBench();
        bench.Runner.PoisonToken = 77;
        bench.Post(Start("nan", [1, 77], maxOutput: 3));
        bench.Post(Start("good", [1, 78], maxOutput: 1));
        bench.Finish();
        Assert.Equal(nameof(ErrorCode.EngineFault), bench.Owner.Event("nan", SequenceEventKind.Failed).ErrorCode);
        Assert.Single(bench.Owner.Tokens("good"));
        bench.AssertAllReturned();
    }

    public static TheoryData<string, Action<StartSequence>> BadStarts => new()
    {
        { nameof(ErrorCode.InvalidRequest), start => start.PromptTokens.Clear() },
        { nameof(ErrorCode.InvalidRequest), start => start.PromptTokens.Add(FakeRunner.Vocabulary) },
        { nameof(ErrorCode.InvalidRequest), start => start.PromptTokens.Add(uint.MaxValue) },
        { nameof(ErrorCode.InvalidRequest), start => start.Sampling = null },
        { nameof(ErrorCode.InvalidRequest), start => start.Sampling.Temperature = float.NaN },
        { nameof(ErrorCode.InvalidRequest), start => start.Sampling.TopP = 0 },
        { nameof(ErrorCode.InvalidRequest), start => start.Sampling.LogitBias.Add(9999, 1) },
        { nameof(ErrorCode.InvalidRequest), start => start.MaxOutputTokens = 0 },
        { nameof(ErrorCode.InvalidRequest), start => start.Part = SequencePart.Unspecified },
        { nameof(ErrorCode.InvalidRequest), start => start.Part = SequencePart.Decode },
        { nameof(ErrorCode.ContextLengthExceeded),
            start => start.PromptTokens.Add(Enumerable.Repeat(1u, FakeRunner.ContextMax)) },
        { nameof(ErrorCode.KvPoolTooSmall), start => start.PromptTokens.Add(Enumerable.Repeat(1u, 150)) },
    };

    [Theory]
    [MemberData(nameof(BadStarts))]
    public async Task A_start_that_cannot_be_served_fails_by_name_and_leaves_nothing(
        string code, Action<StartSequence> spoil)
    {
        await using var bench = new EngineBench(blocks: 8);
        var start = Start("bad", [1, 2, 3], maxOutput: 3);
        spoil(start);
        bench.Post(start);
        bench.Finish();
        Assert.Equal([SequenceEventKind.Failed, SequenceEventKind.Released], bench.Owner.Kinds("bad"));
        Assert.Equal(code, bench.Owner.Event("bad", SequenceEventKind.Failed).ErrorCode);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task A_sequence_that_outgrows_the_whole_pool_fails_by_name()
    {
        await using var bench = new EngineBench(blocks: 3, prefixCache: false);
        bench.Post(Start("a", Prompt(1, 20), maxOutput: 100));
        bench.Finish();
        Assert.Equal(nameof(ErrorCode.KvPoolTooSmall), bench.Owner.Event("a", SequenceEventKind.Failed).ErrorCode);
        Assert.Equal(FakeRunner.Answer(Prompt(1, 20), 29), bench.Owner.Tokens("a"));
        bench.AssertAllReturned();
    }

    // Positive control of the fake model: a block that is overwritten by somebody else must change or stop the stream.
    [Fact]
    public async Task The_fake_model_notices_a_damaged_block()
    {
        await using var bench = new EngineBench();
        bench.Post(Start("a", Prompt(1, 40), maxOutput: 30));
        for (var i = 0; i < 5; i++) bench.Engine.Turn();
        bench.Runner.Arena[0].Span[0] ^= 1;
        bench.Finish();
        Assert.NotEqual(FakeRunner.Answer(Prompt(1, 40), 30), bench.Owner.Tokens("a"));
    }
}
