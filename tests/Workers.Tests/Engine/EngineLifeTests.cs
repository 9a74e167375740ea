using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers.Tests;

public sealed class EngineLifeTests
{
    [Fact]
    public async Task Aborts_at_random_moments_return_every_block()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            await using var bench = new EngineBench(blocks: 20, budget: 24);
            var random = new Random(seed);
            for (var turn = 0; turn < 120; turn++)
            {
                if (turn < 60) bench.Post(Start($"r{turn}", Prompt(turn % 4, random.Next(1, 60)), random.Next(1, 30)));
                if (random.Next(2) == 0) bench.Abort($"r{random.Next(Math.Min(turn + 1, 60))}");
                bench.Engine.Turn();
                bench.Engine.CheckIntegrity();
            }

            bench.Finish();
            bench.AssertAllReturned();
            for (var i = 0; i < 60; i++) Assert.Equal(SequenceEventKind.Released, bench.Owner.Kinds($"r{i}")[^1]);
        }
    }

    [Fact]
    public async Task An_unknown_abort_is_answered_at_once()
    {
        await using var bench = new EngineBench();
        bench.Abort("never-started");
        bench.Engine.Turn();
        Assert.Equal([SequenceEventKind.Released], bench.Owner.Kinds("never-started"));
    }

    [Fact]
    public async Task A_second_start_with_the_same_key_changes_nothing()
    {
        await using var bench = new EngineBench();
        bench.Post(Start("a", [1, 2, 3], maxOutput: 5));
        bench.Engine.Turn();
        bench.Post(Start("a", [1, 2, 3], maxOutput: 5));
        bench.Finish();
        Assert.Equal(FakeRunner.Answer([1, 2, 3], 5), bench.Owner.Tokens("a"));
        Assert.Single(bench.Owner.Kinds("a"), SequenceEventKind.Released);
    }

    [Fact]
    public async Task A_newer_epoch_ends_the_older_one_and_an_older_one_is_not_begun()
    {
        await using var bench = new EngineBench();
        bench.Post(Start("a", [1, 2, 3], maxOutput: 50, epoch: 2));
        bench.Engine.Turn();
        bench.Post(Start("a", [1, 2, 3], maxOutput: 50, epoch: 3));
        bench.Post(Start("a", [1, 2, 3], maxOutput: 50, epoch: 1));
        bench.Finish();
        Assert.Equal([SequenceEventKind.Released], bench.Owner.Kinds("a", epoch: 1));
        Assert.Equal(SequenceEventKind.Released, bench.Owner.Kinds("a", epoch: 2)[^1]);
        Assert.Equal(FakeRunner.Answer([1, 2, 3], 50), bench.Owner.Tokens("a", epoch: 3));
    }

    [Fact]
    public async Task A_lost_owner_takes_its_sequences_with_it_and_no_others()
    {
        await using var bench = new EngineBench();
        var other = new RecordingOwner();
        bench.Post(Start("mine", [1, 2, 3], maxOutput: 50));
        bench.Engine.Post(new EngineCommand.Start(other, Start("theirs", [1, 2, 3], maxOutput: 50)));
        bench.Engine.Turn();
        bench.Engine.Post(new EngineCommand.OwnerLost(bench.Owner));
        bench.Finish();
        Assert.Equal(FinishReason.Unspecified, bench.Owner.Finish("mine"));
        Assert.Equal(FakeRunner.Answer([1, 2, 3], 50), other.Tokens("theirs"));
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task Only_the_owner_of_a_sequence_can_abort_it()
    {
        await using var bench = new EngineBench();
        var stranger = new RecordingOwner();
        bench.Post(Start("a", [1, 2, 3], maxOutput: 5));
        bench.Engine.Post(new EngineCommand.Abort(stranger, new SequenceKey("a", 0, 1), "not mine"));
        bench.Finish();
        Assert.Equal(5, bench.Owner.Tokens("a").Length);
    }

    [Fact]
    public async Task A_draining_engine_finishes_what_it_has_and_takes_nothing_new()
    {
        await using var bench = new EngineBench();
        bench.Post(Start("old", [1, 2, 3], maxOutput: 5));
        bench.Engine.Post(new EngineCommand.Drain());
        bench.Post(Start("new", [1, 2, 3], maxOutput: 5));
        bench.Engine.Turn();
        Assert.False(bench.Engine.Drained.IsCompleted);
        bench.Finish();
        Assert.True(bench.Engine.Drained.IsCompleted);
        Assert.True(bench.Engine.Load.Draining);
        Assert.Equal(5, bench.Owner.Tokens("old").Length);
        Assert.Equal(nameof(ErrorCode.Draining), bench.Owner.Event("new", SequenceEventKind.Failed).ErrorCode);
    }

    [Fact]
    public async Task The_thread_serves_commands_and_sleeps_between()
    {
        await using var bench = new EngineBench();
        bench.Engine.Start();
        for (var i = 0; i < 20; i++)
        {
            bench.Post(Start($"r{i}", Prompt(i, 20), maxOutput: 10));
            if (i % 3 == 0) await bench.Owner.WhenReleasedAsync($"r{i}");
        }

        for (var i = 0; i < 20; i++)
        {
            await bench.Owner.WhenReleasedAsync($"r{i}");
            Assert.Equal(FakeRunner.Answer(Prompt(i, 20), 10), bench.Owner.Tokens($"r{i}"));
        }

        Assert.False(bench.Engine.Completion.IsCompleted);
    }

    [Fact]
    public async Task An_owner_that_throws_breaks_the_engine_loudly()
    {
        await using var bench = new EngineBench();
        bench.Engine.Post(new EngineCommand.Start(new ThrowingOwner(), Start("a", [1], maxOutput: 1)));
        bench.Engine.Start();
        await Assert.ThrowsAsync<InvalidOperationException>(() => bench.Engine.Completion);
    }

    private sealed class ThrowingOwner : ISequenceOwner
    {
        public void Deliver(TokenBatch tokens) => throw new InvalidOperationException("broken owner");

        public void Deliver(SequenceEvent change) => throw new InvalidOperationException("broken owner");
    }
}
