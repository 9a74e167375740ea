using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>A running sequence moves between engines over loopback sockets: its stream must not show it.</summary>
public sealed class MigrationTests
{
    [Theory]
    [InlineData(true, KvTransport.Tcp)]
    [InlineData(false, KvTransport.Tcp)]
    [InlineData(true, KvTransport.Shared)]
    public async Task A_sequence_moves_in_the_middle_and_its_stream_is_that_of_one_worker(
        bool hostMemory, KvTransport transport)
    {
        await using var source = new MigrationBench(hostMemory: hostMemory, transport: transport);
        await using var target = new MigrationBench(hostMemory: hostMemory, transport: transport);
        source.KeepPaceAfter(20);
        var prompt = Prompt(1, 100);
        source.Start(Start("a", prompt, 60));
        await source.Owner.WhenTokensAsync("a", 10);
        var known = source.Owner.Tokens("a");
        target.Take(Start("a", prompt, 60, epoch: 2, output: known), source);
        await target.Owner.WhenReleasedAsync("a", epoch: 2);
        await source.Owner.WhenReleasedAsync("a");

        var answer = FakeRunner.Answer(prompt, 60);
        Assert.Equal(answer[known.Length..], target.Owner.Tokens("a", epoch: 2));
        Assert.Equal(answer[..source.Owner.Tokens("a").Length], source.Owner.Tokens("a"));
        Assert.True(source.Owner.Tokens("a").Length < 60, "the source computed it all: nothing moved");
        Assert.Equal(
            [SequenceEventKind.Accepted, SequenceEventKind.MigrationStarted, SequenceEventKind.MigrationCommitted,
                SequenceEventKind.Released],
            target.Owner.Kinds("a", epoch: 2));
        Assert.Equal(1, source.Engine.Load.MigratedOut);
        Assert.Equal(1, target.Engine.Load.MigratedIn);
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    // Around every block boundary, from the first token to the last but one.
    [Theory]
    [InlineData(1)]
    [InlineData(14)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(30)]
    public async Task A_sequence_may_move_at_any_token(int promptLength)
    {
        await using var first = new MigrationBench();
        await using var second = new MigrationBench();
        SlowDown(first, second);
        var streams = new MovingStreams(first, second);
        var prompt = Prompt(promptLength, promptLength);
        // Twelve streams, and more where a busy machine lets them end before they move.
        for (var i = 0; i < 12 || (streams.Moves <= 5 && i < 200); i++)
        {
            var name = $"s{i}";
            var length = 3 + (5 * (i % 12));
            streams.Begin(name, prompt, length, worker: i % 2);
            var done = streams.WhenDoneAsync(name);
            while (!done.IsCompleted)
            {
                streams.TryMove(name, 0);
                streams.TryMove(name, 1);
                await Task.Delay(1);
            }

            Assert.Equal(FakeRunner.Answer(prompt, length), await done);
        }

        Assert.True(streams.Moves > 5, $"{streams.Moves} moves: the test tests nothing");
        await streams.WhenQuietAsync();
        await first.AssertAllReturnedAsync();
        await second.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_prefill_in_progress_moves_with_what_there_is()
    {
        await using var source = new MigrationBench(budget: 16, prefixCache: false);
        await using var target = new MigrationBench(budget: 16, prefixCache: false);

        // A step computes one block. The target comes before the sixth step, and from then on it has what was computed
        // before more is: each step is a round, and the source freezes after the last round.
        source.Runner.BeforeRun = _ =>
        {
            if (source.Runner.Steps >= 5) source.Targets.WaitForTarget();
            if (source.Runner.Steps >= 6) source.Targets.WaitForBlocks(source.Runner.Steps);
        };
        var prompt = Prompt(2, 300);
        source.Start(Start("a", prompt, 20));
        await source.Owner.WhenAsync("a", SequenceEventKind.PrefillStarted);
        target.Take(Start("a", prompt, 20, epoch: 2), source);
        await target.Owner.WhenReleasedAsync("a", epoch: 2);
        await source.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(prompt, 20), target.Owner.Tokens("a", epoch: 2));
        Assert.InRange(target.Engine.Load.PrefillTokens, 1, 299);
        Assert.InRange(target.Owner.Event("a", SequenceEventKind.MigrationCommitted, 2).BlocksMoved, 1u, 18u);
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_queued_sequence_moves_without_KV()
    {
        await using var source = new MigrationBench(blocks: 24);
        await using var target = new MigrationBench(blocks: 24);
        using var queued = new ManualResetEventSlim();
        source.Runner.BeforeRun = _ =>
        {
            // The step behind the one that was held tells of the arrival.
            if (source.Runner.Steps == 25) queued.Wait(TimeSpan.FromMinutes(2));
            if (source.Runner.Steps > 26) source.Targets.KeepPace();
        };
        source.Start(Start("first", Prompt(3, 300), 60));
        await source.Owner.WhenTokensAsync("first", 1);
        source.Start(Start("queued", Prompt(4, 200), 20));
        queued.Set();
        await source.Owner.WhenAsync("queued", SequenceEventKind.Accepted);
        target.Take(Start("queued", Prompt(4, 200), 20, epoch: 2), source);
        await target.Owner.WhenReleasedAsync("queued", epoch: 2);
        Assert.Equal(FakeRunner.Answer(Prompt(4, 200), 20), target.Owner.Tokens("queued", epoch: 2));
        Assert.Equal(0u, target.Owner.Event("queued", SequenceEventKind.MigrationCommitted, 2).BlocksMoved);
        await source.Owner.WhenReleasedAsync("first");
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task Log_probabilities_cross_the_seam()
    {
        await using var source = new MigrationBench();
        await using var target = new MigrationBench();
        source.KeepPaceAfter(20);
        var (prompt, owner) = (Prompt(5, 20), new LogprobOwner());
        source.Start(WithLogprobs(Start("a", prompt, 60)));
        await source.Owner.WhenTokensAsync("a", 12);

        // What the owner had when it asked is older than what the source has by now: the tail must bring the rest.
        target.Take(
            WithLogprobs(Start("a", prompt, 60, epoch: 2, output: source.Owner.Tokens("a")[..3])), source,
            owner: owner);
        await owner.Released.Task.WaitAsync(TimeSpan.FromMinutes(2));
        Assert.Equal(Enumerable.Range(3, 57), owner.Indices);
        Assert.Equal(57, owner.Logprobs);
        await source.Owner.WhenReleasedAsync("a");
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_full_target_refuses_at_once_and_the_source_goes_on()
    {
        await using var source = new MigrationBench();
        await using var target = new MigrationBench(blocks: 4);
        using var refused = new ManualResetEventSlim();
        source.Runner.BeforeRun = _ =>
        {
            if (source.Runner.Steps == 20) refused.Wait(TimeSpan.FromMinutes(2));
        };
        source.Start(Start("a", Prompt(6, 100), 40));
        await source.Owner.WhenTokensAsync("a", 2);
        target.Take(Start("a", Prompt(6, 100), 40, epoch: 2, output: source.Owner.Tokens("a")), source);
        await target.Owner.WhenReleasedAsync("a", epoch: 2);
        Assert.Contains("KV blocks", target.Owner.Event("a", SequenceEventKind.Failed, 2).Message,
            StringComparison.Ordinal);
        refused.Set();
        await source.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(Prompt(6, 100), 40), source.Owner.Tokens("a"));
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_sequence_that_is_not_there_a_restarted_source_and_another_model_are_refused()
    {
        await using var source = new MigrationBench();
        await using var other = new MigrationBench(model: "other");
        await using var target = new MigrationBench();
        target.Take(Start("nobody", Prompt(7, 20), 5, epoch: 2), source);
        await AssertStaysAsync(target, "nobody", 2, "not here");

        var former = Start("a", Prompt(7, 20), 5, SequencePart.Migrate, epoch: 2);
        (former.Source, former.SourceEpoch) = (source.Address, 1);
        former.Source.Incarnation++;
        target.Start(former);
        await AssertStaysAsync(target, "a", 2, "restarted");

        target.Take(Start("b", Prompt(7, 20), 5, epoch: 2), other);
        await AssertStaysAsync(target, "b", 2, "model");
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task More_migrations_than_the_bound_are_refused_and_nothing_else_happens()
    {
        await using var source = new MigrationBench(migrationsMax: 1);
        await using var target = new MigrationBench();
        using var held = new ManualResetEventSlim();
        source.Runner.BeforeRun = _ => held.Wait(TimeSpan.FromMinutes(2));
        var streams = new MovingStreams(source, target);
        for (var i = 0; i < 6; i++) streams.Begin($"s{i}", Prompt(i, 40), 40, worker: 0);
        for (var i = 0; i < 6; i++) streams.TryMove($"s{i}", 1);
        await streams.WhenAsync(() => streams.Stays > 0);
        held.Set();
        for (var i = 0; i < 6; i++)
            Assert.Equal(FakeRunner.Answer(Prompt(i, 40), 40), await streams.WhenDoneAsync($"s{i}"));
        await streams.WhenQuietAsync();
        await source.AssertAllReturnedAsync();
        await target.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_flood_of_migrations_changes_no_token_and_leaks_no_block()
    {
        await using var first = new MigrationBench(blocks: 90);
        await using var second = new MigrationBench(blocks: 60);
        await using var third = new MigrationBench(blocks: 40, hostMemory: false);
        SlowDown(first, second, third);
        var streams = new MovingStreams(first, second, third);
        var random = new Random(20261128);
        var (prompts, lengths, cancelled) = (new int[2000][], new int[2000], new HashSet<int>());
        var pending = new List<int>();

        // 200 streams, and more where a busy machine lets streams end before they move.
        bool Wanted(int next) => next < 200 || (next < prompts.Length && streams.Moves <= 100);
        for (var next = 0; Wanted(next) || pending.Count > 0;)
        {
            while (Wanted(next) && pending.Count < 10)
            {
                prompts[next] = Prompt(next % 20, random.Next(1, 120));
                lengths[next] = random.Next(1, 120);
                streams.Begin($"r{next}", prompts[next], lengths[next], random.Next(3));
                pending.Add(next++);
            }

            foreach (var i in pending) streams.TryMove($"r{i}", random.Next(3));
            if (random.Next(40) == 0 && pending.Count > 0 && cancelled.Add(pending[0]))
                streams.Cancel($"r{pending[0]}");
            await Task.Delay(1);
            foreach (var i in pending.Where(i => streams.WhenDoneAsync($"r{i}").IsCompleted).ToArray())
            {
                pending.Remove(i);
                var tokens = await streams.WhenDoneAsync($"r{i}");
                if (!cancelled.Contains(i)) Assert.Equal(FakeRunner.Answer(prompts[i], lengths[i]), tokens);
            }
        }

        await streams.WhenQuietAsync();
        Assert.True(streams.Moves > 100, $"only {streams.Moves} moves");
        await first.AssertAllReturnedAsync();
        await second.AssertAllReturnedAsync();
        await third.AssertAllReturnedAsync();
    }

    private static async Task AssertStaysAsync(MigrationBench bench, string request, int epoch, string words)
    {
        await bench.Owner.WhenReleasedAsync(request, epoch);
        Assert.Contains(
            words, bench.Owner.Event(request, SequenceEventKind.MigrationAborted, epoch).Message,
            StringComparison.Ordinal);
    }

    /// <summary>Steps take as long as those of a small model: a migration has to happen meanwhile.</summary>
    private static void SlowDown(params MigrationBench[] benches)
    {
        foreach (var bench in benches) bench.Runner.BeforeRun = _ => Thread.Sleep(1);
    }

    private static StartSequence WithLogprobs(StartSequence start)
    {
        start.Sampling.TopLogprobs = 2;
        return start;
    }

    private sealed class LogprobOwner : ISequenceOwner
    {
        public List<int> Indices { get; } = [];

        public int Logprobs { get; private set; }

        public TaskCompletionSource Released { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Deliver(TokenBatch tokens)
        {
            foreach (var run in tokens.Runs)
            {
                for (var i = 0; i < run.Tokens.Count; i++) Indices.Add((int)run.FirstIndex + i);
                Logprobs += run.Logprobs.Count(logprob => logprob.TopTokens.Count == 2);
            }
        }

        public void Deliver(SequenceEvent change)
        {
            if (change.Kind == SequenceEventKind.Released) Released.TrySetResult();
        }
    }
}
