using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>Prefill on one engine, decode on another, over loopback sockets.</summary>
public sealed class HandoffTests
{
    public static TheoryData<KvTransport> Transports => [KvTransport.Tcp, KvTransport.Shared];

    [Theory]
    [InlineData(true, 16, KvTransport.Tcp, 1)]
    [InlineData(true, 512, KvTransport.Tcp, 1)]
    [InlineData(false, 16, KvTransport.Tcp, 1)]
    [InlineData(true, 512, KvTransport.Tcp, 2)]
    [InlineData(false, 512, KvTransport.Tcp, 3)]
    [InlineData(true, 16, KvTransport.Shared, 1)]
    [InlineData(true, 512, KvTransport.Shared, 1)]
    public async Task Prefill_and_decode_on_two_workers_give_the_answer_of_one(
        bool hostMemory, int budget, KvTransport transport, int connections)
    {
        await using var prefill = new HandoffBench(
            WorkerRole.Prefill, budget: budget, hostMemory: hostMemory, transport: transport, connections: connections);
        await using var decode = new HandoffBench(
            WorkerRole.Decode, budget: budget, hostMemory: hostMemory, transport: transport, connections: connections);
        int[] lengths = [1, 15, 16, 17, 31, 32, 33, 100, 300];
        foreach (var length in lengths) StartPair(prefill, decode, $"p{length}", Prompt(length, length), 20);
        foreach (var length in lengths)
        {
            await decode.Owner.WhenReleasedAsync($"p{length}");
            await prefill.Owner.WhenReleasedAsync($"p{length}");
            var answer = FakeRunner.Answer(Prompt(length, length), 20);
            Assert.Equal(answer[..1], prefill.Owner.Tokens($"p{length}"));
            Assert.Equal(answer, decode.Owner.Tokens($"p{length}"));
            Assert.Equal(
                [SequenceEventKind.Accepted, SequenceEventKind.HandoffStarted, SequenceEventKind.HandoffCommitted,
                    SequenceEventKind.DecodeStarted, SequenceEventKind.Released],
                decode.Owner.Kinds($"p{length}"));
        }

        Assert.Equal(19u, decode.Owner.Event("p300", SequenceEventKind.HandoffCommitted).BlocksMoved);
        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task The_puller_may_come_before_the_source_knows_the_sequence()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        var prompt = Prompt(1, 50);
        decode.Start(Start("a", prompt, 10, SequencePart.Decode), prefill.Address);
        await decode.Owner.WhenAsync("a", SequenceEventKind.HandoffStarted);
        prefill.Start(Start("a", prompt, 10, SequencePart.Prefill));
        await decode.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(prompt, 10), decode.Owner.Tokens("a"));
        await prefill.Owner.WhenReleasedAsync("a");
        await prefill.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task Blocks_that_the_target_has_cached_do_not_travel()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        var prompt = Prompt(2, 64);
        StartPair(prefill, decode, "first", prompt, 5);
        await decode.Owner.WhenReleasedAsync("first");
        StartPair(prefill, decode, "second", prompt, 5);
        await decode.Owner.WhenReleasedAsync("second");
        Assert.Equal(FakeRunner.Answer(prompt, 5), decode.Owner.Tokens("second"));
        Assert.Equal(0u, decode.Owner.Event("second", SequenceEventKind.HandoffCommitted).BlocksMoved);
        await prefill.Owner.WhenReleasedAsync("second");
        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_continued_stream_is_handed_off_behind_its_accepted_tokens()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        var (prompt, answer) = (Prompt(3, 40), FakeRunner.Answer(Prompt(3, 40), 30));
        prefill.Start(Start("a", prompt, 30, SequencePart.Prefill, epoch: 2, output: answer[..11]));
        decode.Start(Start("a", prompt, 30, SequencePart.Decode, epoch: 2, output: answer[..11]), prefill.Address);
        await decode.Owner.WhenReleasedAsync("a", epoch: 2);
        Assert.Equal(answer[11..], decode.Owner.Tokens("a", epoch: 2));
    }

    [Fact]
    public async Task A_stream_that_ends_with_its_first_token_needs_no_handoff()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        StartPair(prefill, decode, "a", Prompt(4, 40), maxOutput: 1);
        await prefill.Owner.WhenReleasedAsync("a");
        await decode.Owner.WhenReleasedAsync("a");
        Assert.Equal(FinishReason.Length, prefill.Owner.Finish("a"));
        Assert.DoesNotContain(SequenceEventKind.Failed, decode.Owner.Kinds("a"));
        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_target_without_room_pulls_when_it_has_some(KvTransport transport)
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, transport: transport);
        await using var decode = new HandoffBench(WorkerRole.Decode, blocks: 6, transport: transport);
        for (var i = 0; i < 6; i++) StartPair(prefill, decode, $"s{i}", Prompt(i, 40), 20);
        for (var i = 0; i < 6; i++)
        {
            await decode.Owner.WhenReleasedAsync($"s{i}");
            await prefill.Owner.WhenReleasedAsync($"s{i}");
            Assert.Equal(FakeRunner.Answer(Prompt(i, 40), 20), decode.Owner.Tokens($"s{i}"));
        }

        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Aborts_at_random_moments_return_every_block_on_both_sides(KvTransport transport)
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, blocks: 40, transport: transport);
        await using var decode = new HandoffBench(WorkerRole.Decode, blocks: 40, transport: transport);
        var random = new Random(5);
        for (var i = 0; i < 150; i++)
        {
            StartPair(prefill, decode, $"r{i}", Prompt(i % 10, random.Next(1, 120)), random.Next(1, 30));
            var victim = random.Next(i + 1);
            if (random.Next(2) == 0) prefill.Abort($"r{victim}");
            if (random.Next(2) == 0) decode.Abort($"r{victim}");
            if (random.Next(4) == 0) await decode.Owner.WhenReleasedAsync($"r{victim}");
        }

        for (var i = 0; i < 150; i++)
        {
            prefill.Abort($"r{i}");
            decode.Abort($"r{i}");
            await prefill.Owner.WhenReleasedAsync($"r{i}");
            await decode.Owner.WhenReleasedAsync($"r{i}");
        }

        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_pulled_sequence_that_is_preempted_computes_its_context_again_itself()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode, blocks: 9);
        for (var i = 0; i < 3; i++) StartPair(prefill, decode, $"s{i}", Prompt(i, 20), 90);
        for (var i = 0; i < 3; i++)
        {
            await decode.Owner.WhenReleasedAsync($"s{i}");
            Assert.Equal(FakeRunner.Answer(Prompt(i, 20), 90), decode.Owner.Tokens($"s{i}"));
        }

        Assert.True(decode.Engine.Load.PrefillTokens > 0, "nothing was preempted: the test tests nothing");
        await decode.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_pull_from_a_restarted_source_is_refused()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        var former = prefill.Address;
        former.Incarnation++;
        decode.Start(Start("a", Prompt(1, 20), 5, SequencePart.Decode), former);
        await AssertFailedAsync(decode, "a", ErrorCode.HandoffRefused, "restarted");
    }

    [Fact]
    public async Task A_pull_of_another_model_is_refused()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, model: "one");
        await using var decode = new HandoffBench(WorkerRole.Decode, model: "two");
        decode.Start(Start("a", Prompt(1, 20), 5, SequencePart.Decode), prefill.Address);
        await AssertFailedAsync(decode, "a", ErrorCode.HandoffRefused, "model");
    }

    [Fact]
    public async Task A_source_that_is_not_there_fails_by_name()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        using var nobody = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var nowhere = prefill.Address;
        nowhere.Port = BindWithoutListening(nobody);
        decode.Start(Start("a", Prompt(1, 20), 5, SequencePart.Decode), nowhere);
        await AssertFailedAsync(decode, "a", ErrorCode.HandoffSourceLost, "data link");
    }

    private static async Task AssertFailedAsync(HandoffBench bench, string request, ErrorCode code, string words)
    {
        await bench.Owner.WhenReleasedAsync(request);
        var failed = bench.Owner.Event(request, SequenceEventKind.Failed);
        Assert.Equal(code.ToString(), failed.ErrorCode);
        Assert.Contains(words, failed.Message, StringComparison.Ordinal);
        await bench.AssertAllReturnedAsync();
    }

    private static void StartPair(
        HandoffBench prefill, HandoffBench decode, string request, int[] prompt, int maxOutput)
    {
        prefill.Start(Start(request, prompt, maxOutput, SequencePart.Prefill));
        decode.Start(Start(request, prompt, maxOutput, SequencePart.Decode), prefill.Address);
    }
}
