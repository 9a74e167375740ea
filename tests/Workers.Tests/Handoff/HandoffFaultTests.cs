using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;
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
        source.Channel.Dispose();
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

    // Positive control of the test before: the same bytes undamaged are taken.
    [Fact]
    public async Task An_undamaged_raw_block_is_taken()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendRawBlockAsync(flipBit: false);
        DataMessage? credit;
        do credit = await source.Channel.ReceiveAsync(PlayedSource.NoRoom, CancellationToken.None);
        while (credit?.Pull is null);
        decode.Abort("a");
        await decode.Owner.WhenReleasedAsync("a");
        await decode.AssertAllReturnedAsync();
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
    [InlineData(1)] // a gap
    [InlineData(99)] // beyond the sequence
    public async Task A_block_out_of_order_ends_the_pull(int index)
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendBlockAsync(index);
        await AssertFailedAsync(decode, ErrorCode.HandoffCorrupt);
    }

    [Fact]
    public async Task An_end_before_the_last_block_is_not_believed()
    {
        await using var decode = new HandoffBench(WorkerRole.Decode);
        using var source = await PlayedSource.MeetAsync(decode, ThePrompt);
        await source.SendBlockAsync(0);
        var done = new PrefillDone { ComputedTokens = (uint)ThePrompt.Length, FirstToken = 3 };
        await source.Channel.SendAsync(new DataMessage { Done = done }, default, CancellationToken.None);
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
        time.Advance(TimeSpan.FromSeconds(9));
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
        Assert.NotNull((await target.NextAsync()).Block);
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
        Assert.NotNull((await target.NextAsync()).Block);
        target.Channel.Dispose();
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
        Assert.NotNull((await first.NextAsync()).Block);
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

        var told = AbortOfAsync(target);
        await time.AdvanceUntilAsync(told, TimeSpan.FromMilliseconds(100));
        Assert.Equal(nameof(ErrorCode.HandoffTimeout), (await told).ErrorCode);
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
            Assert.Equal(0, await ReceiveToEndAsync(stranger));
        }

        prefill.Start(Start("a", ThePrompt, 10, SequencePart.Prefill));
        decode.Start(Start("a", ThePrompt, 10, SequencePart.Decode), prefill.Address);
        await decode.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(ThePrompt, 10), decode.Owner.Tokens("a"));
    }

    private static async Task<HandoffAbort> AbortOfAsync(PlayedTarget target)
    {
        var message = await target.NextAsync();
        while (message.Renew is not null) message = await target.NextAsync();
        return message.Abort;
    }

    private static async Task<int> ReceiveToEndAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[16]).WaitAsync(TimeSpan.FromSeconds(20));
        }
        catch (SocketException)
        {
            return 0; // reset: closed all the same
        }
    }

    private static async Task AssertFailedAsync(HandoffBench bench, ErrorCode code)
    {
        await bench.Owner.WhenReleasedAsync("a");
        Assert.Equal(code.ToString(), bench.Owner.Event("a", SequenceEventKind.Failed).ErrorCode);
        await bench.AssertAllReturnedAsync();
    }

    private sealed class PlayedSource(Socket socket, TcpDataChannel channel) : IDisposable
    {
        public Socket Socket => socket;

        public TcpDataChannel Channel => channel;

        public static async Task<PlayedSource> MeetAsync(HandoffBench decode, int[] prompt)
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            var port = (uint)((IPEndPoint)listener.LocalEndPoint!).Port;
            decode.Start(
                Start("a", prompt, 10, SequencePart.Decode), new DataAddress { Host = "127.0.0.1", Port = port });
            var socket = await listener.AcceptAsync();
            var channel = new TcpDataChannel(socket, FakeRunner.Geometry.BlockBytes);
            Assert.NotNull((await channel.ReceiveAsync(NoRoom, CancellationToken.None))!.Hello);
            Assert.Equal(8u, (await channel.ReceiveAsync(NoRoom, CancellationToken.None))!.Pull.Count);
            return new PlayedSource(socket, channel);
        }

        public static Memory<byte> NoRoom(DataMessage message, int bytes) => throw new FrameException("no payload");

        public Task SendBlockAsync(int index) => channel.SendAsync(
            new DataMessage { Block = new Block { Index = (uint)index } }, new byte[FakeRunner.Geometry.BlockBytes],
            CancellationToken.None);

        public async Task SendRawBlockAsync(bool flipBit)
        {
            var message = new DataMessage { Block = new Block { Index = 0 } }.ToByteArray();
            var payload = new byte[FakeRunner.Geometry.BlockBytes];
            var head = new byte[DataFrame.HeaderBytes];
            DataFrame.Of(message, payload).Write(head);
            if (flipBit) payload[^1] ^= 0x10;
            await socket.SendAsync((byte[])[.. head, .. message, .. payload]);
        }

        public void Dispose() => channel.Dispose();
    }

    private sealed class PlayedTarget(TcpDataChannel channel) : IDisposable
    {
        public TcpDataChannel Channel => channel;

        public static async Task<PlayedTarget> MeetAsync(HandoffBench prefill, string request)
        {
            var transport = new TcpBlockTransport(FakeRunner.Geometry.BlockBytes);
            var target = new PlayedTarget(
                (TcpDataChannel)await transport.ConnectAsync(prefill.Address, CancellationToken.None));
            await target.SendAsync(new DataMessage
            {
                Hello = new PullHello
                {
                    Protocol = ProtocolVersion.Current,
                    Key = new Krewe.Abstractions.Wire.SequenceKey { RequestId = request, Epoch = 1 },
                    SourceIncarnation = prefill.Identity.Incarnation,
                    ModelFingerprint = prefill.Identity.ModelFingerprint,
                    Numerics = prefill.Identity.Numerics.ToString(),
                    Kv = prefill.Identity.Geometry.ToWire(),
                    LeaseMs = 10_000,
                },
            });
            return target;
        }

        public Task SendAsync(DataMessage message) => channel.SendAsync(message, default, CancellationToken.None);

        public async Task<DataMessage> NextAsync()
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            var room = new byte[FakeRunner.Geometry.BlockBytes];
            return await channel.ReceiveAsync((_, _) => room, limit.Token) ?? throw new IOException("closed");
        }

        public void Dispose() => channel.Dispose();
    }
}
