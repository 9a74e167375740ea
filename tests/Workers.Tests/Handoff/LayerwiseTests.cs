using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Workers.Tests.EngineBench;
using Piece = Krewe.Abstractions.Wire.Piece;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>Layers travel while later layers of the same step are computed.</summary>
public sealed class LayerwiseTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task A_layer_arrives_before_the_next_is_computed_and_only_the_last_is_left_at_the_end()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, budget: 512);
        using var target = await PlayedTarget.MeetAsync(prefill, "a");
        await target.SendAsync(new DataMessage { Pull = new PullBlocks { Count = 99 } });
        await prefill.WhenCreditAsync();
        using var gate = new SemaphoreSlim(0);
        prefill.Runner.BeforeLayer = layer => Assert.True(layer == 0 || gate.Wait(Limit), "no layer arrived");

        // 3 full blocks and a tail in one step: each layer of it must come before the next is let go on.
        prefill.Start(Start("a", Prompt(1, 50), 10, SequencePart.Prefill));
        for (var layer = 0; layer < FakeRunner.Geometry.Layers; layer++)
        {
            var piece = await PieceAsync(target);
            Assert.Equal(
                new Piece { Blocks = 4, FirstLayer = (uint)layer, Layers = 1, RunBlocks = 4 }, piece);
            if (layer == FakeRunner.Geometry.Layers - 1) break;
            Assert.DoesNotContain(SequenceEventKind.PrefillFinished, prefill.Owner.Kinds("a"));
            gate.Release();
        }

        var last = await target.NextAsync();
        while (last.Renew is not null) last = await target.NextAsync();
        Assert.NotNull(last.Done);
    }

    [Fact]
    public async Task Steps_that_are_repeated_after_a_fault_hand_off_the_right_bytes()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, budget: 512);
        await using var decode = new HandoffBench(WorkerRole.Decode, budget: 512);
        var (sequences, faults) = (0, 0);
        prefill.Runner.BeforeRun = batch => sequences = batch.SequenceCount;
        prefill.Runner.BeforeLayer = layer =>
        {
            if (layer != 1 || sequences < 2 || faults++ > 0) return;
            throw new InvalidOperationException("played");
        };
        string[] requests = ["a", "b", "c"];
        for (var i = 0; i < requests.Length; i++)
            decode.Start(Start(requests[i], Prompt(i, 70), 10, SequencePart.Decode), prefill.Address);
        await prefill.WhenCreditAsync(requests.Length);
        for (var i = 0; i < requests.Length; i++)
            prefill.Start(Start(requests[i], Prompt(i, 70), 10, SequencePart.Prefill));
        for (var i = 0; i < requests.Length; i++)
        {
            await decode.Owner.WhenReleasedAsync(requests[i]);
            Assert.Equal(FakeRunner.Answer(Prompt(i, 70), 10), decode.Owner.Tokens(requests[i]));
            await prefill.Owner.WhenReleasedAsync(requests[i]);
        }

        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task Equal_prompts_in_one_step_keep_their_own_blocks_while_they_are_sent()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, budget: 512);
        await using var decode = new HandoffBench(WorkerRole.Decode, budget: 512);
        var prompt = Prompt(5, 100);
        for (var i = 0; i < 4; i++)
            decode.Start(Start($"s{i}", prompt, 10, SequencePart.Decode), prefill.Address);
        await prefill.WhenCreditAsync(pullers: 4);
        for (var i = 0; i < 4; i++) prefill.Start(Start($"s{i}", prompt, 10, SequencePart.Prefill));
        for (var i = 0; i < 4; i++)
        {
            await decode.Owner.WhenReleasedAsync($"s{i}");
            await prefill.Owner.WhenReleasedAsync($"s{i}");
            Assert.Equal(FakeRunner.Answer(prompt, 10), decode.Owner.Tokens($"s{i}"));
        }

        await prefill.AssertAllReturnedAsync();
        await decode.AssertAllReturnedAsync();
    }

    [Theory]
    [InlineData(KvTransport.Tcp)]
    [InlineData(KvTransport.Shared)]
    public async Task Blocks_present_in_the_middle_are_neither_sent_nor_written(KvTransport transport)
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill, transport: transport);
        prefill.Start(Start("a", Prompt(6, 100), 10, SequencePart.Prefill));
        await prefill.Owner.WhenAsync("a", SequenceEventKind.PrefillFinished);
        using var arena = new FakeArena(16, shared: true);
        using var peers = new TcpBlockTransport(arena, transport, TimeProvider.System);
        for (var block = 0; block < 16; block++) arena[block].Span.Fill(0xEE);
        var blocks = Enumerable.Range(0, 7).Select(i => new BlockId(15 - i)).ToArray();
        var ended = new TaskCompletionSource<PullResult>();
        var pull = new Pull(
            new PullRequest(
                new Krewe.Abstractions.SequenceKey("a", 0, 1), prefill.Address, blocks, BlockRuns.Of([1, 2, 5]), 100, 0,
                Lease),
            peers, arena, prefill.Identity, hold: null, PatientTime.Links, NullLogger.Instance);
        await pull.RunAsync(ended.SetResult);
        var committed = Assert.IsType<PullResult.Committed>(await ended.Task);
        Assert.Equal((4, 4L * FakeRunner.Geometry.BlockBytes), (committed.BlocksMoved, committed.BytesMoved));
        for (var i = 0; i < blocks.Length; i++)
        {
            var isForeign = arena[blocks[i].Value].Span.IndexOfAnyExcept((byte)0xEE) < 0;
            Assert.Equal(i is 1 or 2 or 5, isForeign);
        }

        await prefill.Owner.WhenReleasedAsync("a");
        await prefill.AssertAllReturnedAsync();
    }

    private static async Task<Piece> PieceAsync(PlayedTarget target)
    {
        var message = await target.NextAsync();
        while (message.Renew is not null) message = await target.NextAsync();
        return message.Piece;
    }
}
