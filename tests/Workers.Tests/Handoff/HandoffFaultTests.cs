using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>Peers that break the protocol, die or hang: one side is ours, the other is played by the test.</summary>
public sealed class HandoffFaultTests
{
    private static readonly int[] ThePrompt = Prompt(1, 200);

    [Fact]
    public async Task A_source_that_dies_in_the_middle_is_named_and_the_target_frees()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendBlockAsync(0);
        source.Frames.Dispose();
        await AssertFailedAsync(decode, ErrorCode.HandoffSourceLost);
    }

    [Fact]
    public async Task A_damaged_block_is_found_by_its_checksum()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendRawBlockAsync(flipBit: true);
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    // Positive control of the test before: the same bytes undamaged are taken, up to the commit.
    [Fact]
    public async Task Undamaged_raw_blocks_are_taken()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, Prompt(1, 16));
        await source.SendRawBlockAsync(flipBit: false);
        await source.SendAsync(new DataMessage { Done = new PrefillDone { ComputedTokens = 16, FirstToken = 3 } });
        Assert.NotNull((await source.NextAsync()).Commit);
        await source.SendAsync(new DataMessage { Committed = new Committed() });

        // Blocks of zeros are no history of that prompt: the runner finds it out, the handoff could not.
        await AssertFailedAsync(decode, ErrorCode.EngineFault);
    }

    [Fact]
    public async Task Garbage_instead_of_a_frame_ends_the_pull()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.Socket.SendAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Theory]
    [InlineData(1, 1, 3, 1)] // a gap
    [InlineData(99, 1, 3, 1)] // beyond the sequence
    [InlineData(0, 1, 3, 14)] // a run longer than the sequence
    [InlineData(0, 1, 4, 1)] // more layers than the model has
    [InlineData(0, 0, 3, 1)] // nothing
    public async Task A_piece_out_of_order_ends_the_pull(uint block, uint blocks, uint layers, uint run)
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendPieceAsync(
            new Piece { FirstBlock = block, Blocks = blocks, Layers = layers, RunBlocks = run });
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task A_piece_that_comes_twice_ends_the_pull()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendBlockAsync(0);
        await source.SendBlockAsync(1);
        await source.SendBlockAsync(1);
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task A_piece_without_its_bytes_ends_the_pull()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendAsync(new DataMessage { Piece = PlayedSource.Whole(0) });
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task Layers_in_the_wrong_order_end_the_pull()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendPieceAsync(new Piece { Blocks = 2, Layers = 1, RunBlocks = 2 });
        await source.SendPieceAsync(new Piece { Blocks = 2, FirstLayer = 2, Layers = 1, RunBlocks = 2 });
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task An_end_before_the_last_block_is_not_believed()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendBlockAsync(0);
        var done = new PrefillDone { ComputedTokens = (uint)ThePrompt.Length, FirstToken = 3 };
        await source.SendAsync(new DataMessage { Done = done });
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task A_silent_source_is_given_up_after_the_lease()
    {
        var time = new ManualTime();
        await using var decode = new HandoffBench(WorkerRole.Decode, time);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await time.AdvanceUntilAsync(decode.Owner.WhenReleasedAsync("a"), TimeSpan.FromSeconds(3));
        await AssertFailedAsync(decode, ErrorCode.HandoffTimeout);
    }

    [Fact]
    public async Task Prefilled_blocks_that_nobody_pulls_are_freed_when_the_lease_ends()
    {
        var time = new ManualTime();
        await using var prefill = new HandoffBench(WorkerRole.Prefill, time);
        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        await prefill.Owner.WhenAsync("a", SequenceEventKind.PrefillFinished);
        time.Advance(Lease - TimeSpan.FromSeconds(1));
        Assert.DoesNotContain(SequenceEventKind.Failed, prefill.Owner.Kinds("a"));
        time.Advance(TimeSpan.FromSeconds(2));
        await AssertFailedAsync(prefill, ErrorCode.LeaseExpired);
    }

    [Fact]
    public async Task A_puller_that_hangs_cannot_hold_the_blocks()
    {
        var time = new ManualTime();
        await using var prefill = new HandoffBench(WorkerRole.Prefill, time);
        using var target = await PlayedTarget.MeetAsync(prefill, "a");
        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        await target.SendAsync(new DataMessage { Pull = new PullBlocks { Count = 1 } });
        Assert.NotNull((await target.NextAsync()).Piece);
        await time.AdvanceUntilAsync(prefill.Owner.WhenReleasedAsync("a"), TimeSpan.FromSeconds(3));
        await AssertFailedAsync(prefill, ErrorCode.LeaseExpired);
    }

    [Fact]
    public async Task A_puller_that_dies_costs_the_source_its_sequence_and_no_block()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        using var target = await PlayedTarget.MeetAsync(prefill, "a");
        await target.SendAsync(new DataMessage { Pull = new PullBlocks { Count = 2 } });
        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        Assert.NotNull((await target.NextAsync()).Piece);
        target.Frames.Dispose();
        await AssertFailedAsync(prefill, ErrorCode.HandoffTargetLost);
    }

    [Fact]
    public async Task A_commit_before_everything_was_sent_is_refused()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        using var target = await PlayedTarget.MeetAsync(prefill, "a");
        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        await prefill.Owner.WhenAsync("a", SequenceEventKind.PrefillFinished);
        await target.SendAsync(new DataMessage { Commit = new Commit() });
        await AssertFailedAsync(prefill, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task A_second_puller_is_refused_and_the_first_goes_on()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        using var first = await PlayedTarget.MeetAsync(prefill, "a");
        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        await first.SendAsync(new DataMessage { Pull = new PullBlocks { Count = 1 } });
        Assert.NotNull((await first.NextAsync()).Piece);
        using var second = await PlayedTarget.MeetAsync(prefill, "a");
        Assert.Equal(nameof(ErrorCode.HandoffRefused), (await second.NextAsync()).Abort.ErrorCode);
        await first.SendAsync(new DataMessage { Pull = new PullBlocks { Count = 99 } });
        DataMessage message;
        do message = await first.NextAsync();
        while (message.Done is null);
        await first.SendAsync(new DataMessage { Commit = new Commit() });
        Assert.NotNull((await first.NextAsync()).Committed);
        await prefill.Owner.WhenReleasedAsync("a");
        Assert.DoesNotContain(SequenceEventKind.Failed, prefill.Owner.Kinds("a"));
        await prefill.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_puller_of_a_sequence_that_never_starts_is_told_so()
    {
        var time = new ManualTime();
        await using var prefill = new HandoffBench(WorkerRole.Prefill, time, pullerWait: TimeSpan.FromSeconds(2));
        using var target = await PlayedTarget.MeetAsync(prefill, "never");

        // Time stands still until the engine waits for the start: no other limit can end first.
        await prefill.WhenArrivedAsync();
        prefill.Abort("asked behind it");
        await prefill.Owner.WhenReleasedAsync("asked behind it");
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(nameof(ErrorCode.HandoffTimeout), (await AbortOfAsync(target)).ErrorCode);
    }

    [Fact]
    public async Task Garbage_at_the_data_port_disturbs_nobody()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using (var stranger = new Socket(SocketType.Stream, ProtocolType.Tcp))
        {
            await stranger.ConnectAsync(IPAddress.Loopback, prefill.Identity.DataPort);
            await stranger.SendAsync(new byte[100]);
            await ReceiveToEndAsync(stranger);
        }

        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        decode.Start(Start("a", ThePrompt, 10, SequencePart.Decode), prefill.Address);
        await decode.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(ThePrompt, 10), decode.Owner.Tokens("a"));
    }

    [Fact]
    public async Task Frames_that_no_worker_would_send_cost_their_link_and_nothing_else()
    {
        await using var prefill = new HandoffBench(WorkerRole.Prefill);
        await using var decode = new HandoffBench(WorkerRole.Decode);
        var frames = new FuzzedFrames(20_261_202);
        for (var i = 0; i < (FuzzedFrames.IsLong ? 2000 : 100); i++)
        {
            using var stranger = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await stranger.ConnectAsync(IPAddress.Loopback, prefill.Identity.DataPort);
            try
            {
                for (var sent = 0; sent < 3; sent++) await stranger.SendAsync(frames.NextData());
                stranger.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // Cut by the worker.
            }

            await ReceiveToEndAsync(stranger);
        }

        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        decode.Start(Start("a", ThePrompt, 10, SequencePart.Decode), prefill.Address);
        await decode.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(ThePrompt, 10), decode.Owner.Tokens("a"));
        await prefill.Owner.WhenReleasedAsync("a");
        await prefill.AssertAllReturnedAsync();
    }

    private static async Task<HandoffAbort> AbortOfAsync(PlayedTarget target)
    {
        var message = await target.NextAsync();
        while (message.Renew is not null) message = await target.NextAsync();
        return message.Abort;
    }

    /// <summary>Until the other end has closed; more than a while is a failure.</summary>
    private static async Task ReceiveToEndAsync(Socket socket)
    {
        try
        {
            while (await socket.ReceiveAsync(new byte[256]).WaitAsync(TimeSpan.FromMinutes(2)) > 0) continue;
        }
        catch (SocketException)
        {
            return; // reset: closed all the same
        }
    }

    private static async Task AssertFailedAsync(HandoffBench bench, ErrorCode code)
    {
        await bench.Owner.WhenReleasedAsync("a");
        Assert.Equal(code.ToString(), bench.Owner.Event("a", SequenceEventKind.Failed).ErrorCode);
        await bench.AssertAllReturnedAsync();
    }
}
