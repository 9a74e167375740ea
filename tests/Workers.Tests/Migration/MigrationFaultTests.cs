using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>
/// Peers that break the migration's protocol, die or hang: one side is ours, the other is played by the test. Whatever
/// it does, our source goes on to its end with the right tokens, our target frees.
/// </summary>
public sealed class MigrationFaultTests
{
    private const int Output = 120;
    private static readonly int[] ThePrompt = Prompt(11, 100);

    [Fact]
    public async Task A_target_that_does_everything_right_gets_the_sequence()
    {
        await using var source = await RunAsync();
        using var target = await PlayTargetAsync(source);
        await ToTailAsync(target);
        await target.SendAsync(new DataMessage { Commit = new Commit() });
        await source.Owner.WhenReleasedAsync("a");
        Assert.True(source.Owner.Tokens("a").Length < Output, "it decoded on after it had frozen");
        Assert.Equal(1, source.Engine.Load.MigratedOut);
        await source.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_target_that_dies_while_blocks_travel_costs_nothing()
    {
        await using var source = await RunAsync();
        using var target = await PlayTargetAsync(source);
        Assert.NotNull((await target.NextAsync()).Piece);
        target.Dispose();
        await AssertGoesOnAsync(source);
    }

    [Fact]
    public async Task A_target_that_dies_when_the_source_is_frozen_gives_the_sequence_back()
    {
        await using var source = await RunAsync();
        using var target = await PlayTargetAsync(source);
        await ToTailAsync(target);
        target.Dispose();
        await AssertGoesOnAsync(source);
    }

    [Fact]
    public async Task A_target_that_hangs_when_the_source_is_frozen_is_not_waited_for()
    {
        await using var source = await RunAsync(freezeLimit: TimeSpan.FromMilliseconds(200));
        using var target = await PlayTargetAsync(source);
        await ToTailAsync(target);
        await AssertGoesOnAsync(source);

        // Its commit comes when the sequence is the source's again, and changes nothing.
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await target.SendAsync(new DataMessage { Commit = new Commit() });
            while (true) await target.NextAsync();
        });
    }

    [Fact]
    public async Task A_target_that_hangs_while_blocks_travel_is_given_up_after_its_lease()
    {
        await using var source = await RunAsync(slowStep: TimeSpan.FromMilliseconds(50));
        using var target = await PlayTargetAsync(source, leaseMs: 200);
        await AssertGoesOnAsync(source);
    }

    [Fact]
    public async Task A_commit_before_the_tail_is_not_believed()
    {
        await using var source = await RunAsync();
        using var target = await PlayTargetAsync(source);
        Assert.NotNull((await target.NextAsync()).Piece);
        await target.SendAsync(new DataMessage { Commit = new Commit() });
        await AssertGoesOnAsync(source);
    }

    [Theory]
    [InlineData(100, 100)] // more than was sent
    [InlineData(int.MaxValue, int.MaxValue)]
    public async Task A_target_that_lies_about_what_it_has_is_given_up(int received, int room)
    {
        await using var source = await RunAsync();
        using var target = await PlayTargetAsync(source);
        await target.SendAsync(Progress(received, room));
        await AssertGoesOnAsync(source);
    }

    [Fact]
    public async Task Garbage_from_a_target_costs_nothing()
    {
        await using var source = await RunAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using var target = await PlayTargetAsync(source, socket: socket);
        await socket.SendAsync("GET / HTTP/1.1\r\nHost: there\r\n\r\n"u8.ToArray());
        await AssertGoesOnAsync(source);
    }

    [Fact]
    public async Task Repeated_and_late_words_of_a_target_change_nothing()
    {
        await using var source = await RunAsync();
        using var target = await PlayTargetAsync(source);
        await ToTailAsync(target, repeat: true);
        await target.SendAsync(Progress(0, 7));
        await target.SendAsync(new DataMessage { Commit = new Commit() });
        await target.SendAsync(new DataMessage { Commit = new Commit() });
        await source.Owner.WhenReleasedAsync("a");
        await source.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task Two_targets_at_once_are_one_too_many()
    {
        await using var source = await RunAsync();
        using var first = await PlayTargetAsync(source);
        var piece = (await first.NextAsync()).Piece;
        using var second = await PlayTargetAsync(source, epoch: 3);
        Assert.Contains("being moved already", (await second.NextAsync()).Abort.Message, StringComparison.Ordinal);
        await first.SendAsync(Progress((int)(piece.FirstBlock + piece.Blocks), 7));
        await ToTailAsync(first);
        await first.SendAsync(new DataMessage { Commit = new Commit() });
        await source.Owner.WhenReleasedAsync("a");
        await source.AssertAllReturnedAsync();
    }

    [Fact]
    public async Task A_source_that_dies_or_sends_nonsense_leaves_nothing_on_the_target()
    {
        (string Name, Func<PlayedSource, Task> Play)[] faults =
        [
            ("dies", source => Task.Run(source.Dispose)),
            ("block out of order", source => source.SendBlockAsync(3)),
            ("damaged block", source => source.SendRawBlockAsync(flipBit: true)),
            ("block beyond the room", source => source.SendBlockAsync(900)),
            ("tail before the blocks", source => source.SendAsync(Tail(blocks: 7, computed: 99, known: 100))),
            ("tail with other tokens", source => source.SendAsync(Tail(blocks: 0, computed: 0, known: 99))),
            ("tail of nothing left to compute", source => source.SendAsync(Tail(blocks: 7, computed: 100, known: 100))),
            ("tokens behind a gap", source => source.SendAsync(Tokens(first: 5))),
            ("more room than there is", source => source.SendAsync(
                new DataMessage { MigrateRoom = new MigrateRoom { Blocks = 1000 } })),
            ("a target's word", source => source.SendAsync(Progress(1, 1))),
            ("garbage", source => source.Socket.SendAsync("HTTP/1.1 400 Bad\r\n\r\n and more of it"u8.ToArray())),
            ("silence", _ => Task.CompletedTask),
        ];
        await using var target = new MigrationBench();
        var epoch = 2;
        foreach (var (name, play) in faults)
        {
            using var source = await PlaySourceAsync(target, epoch, leaseMs: name == "silence" ? 400u : 120_000);
            await play(source);
            await target.Owner.WhenReleasedAsync("a", epoch);
            Assert.True(
                target.Owner.Kinds("a", epoch).Contains(SequenceEventKind.MigrationAborted), $"{name} was not noticed");
            epoch++;
        }

        await target.AssertAllReturnedAsync();
    }

    // Positive control: the same played source, when it does everything right, is taken over.
    [Fact]
    public async Task A_source_that_does_everything_right_is_taken_over()
    {
        await using var target = new MigrationBench();
        using var source = await PlaySourceAsync(target, epoch: 2);
        await source.SendAsync(Tail(blocks: 0, computed: 0, known: 100));
        await target.Owner.WhenReleasedAsync("a", epoch: 2);
        Assert.Equal(FakeRunner.Answer(ThePrompt, 10), target.Owner.Tokens("a", epoch: 2));
        await target.AssertAllReturnedAsync();
    }

    private static async Task<MigrationBench> RunAsync(TimeSpan? freezeLimit = null, TimeSpan? slowStep = null)
    {
        var source = new MigrationBench(freezeLimit: freezeLimit);
        source.KeepPaceAfter(12, slowStep);
        source.Start(Start("a", ThePrompt, Output));
        await source.Owner.WhenTokensAsync("a", 2);
        return source;
    }

    private static async Task AssertGoesOnAsync(MigrationBench source)
    {
        await source.Owner.WhenReleasedAsync("a");
        Assert.Equal(FakeRunner.Answer(ThePrompt, Output), source.Owner.Tokens("a"));
        Assert.Equal(0, source.Engine.Load.MigratedOut);
        await source.AssertAllReturnedAsync();
    }

    private static async Task<PlayedTarget> PlayTargetAsync(
        MigrationBench source, uint leaseMs = 120_000, int epoch = 2, Socket? socket = null)
    {
        socket ??= new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(source.Address.Host, (int)source.Address.Port).WaitAsync(TimeSpan.FromMinutes(2));
        var target = new PlayedTarget(new FrameSocket(socket));
        Assert.NotNull((await target.NextAsync()).Greeting);
        await target.SendAsync(new DataMessage { Attach = new Attach() });
        await target.SendAsync(new DataMessage
        {
            Migrate = new MigrateHello
            {
                Protocol = ProtocolVersion.Oldest,
                Key = new SequenceKey { RequestId = "a", Epoch = (uint)epoch },
                SourceEpoch = 1,
                SourceIncarnation = source.Identity.Incarnation,
                ModelFingerprint = source.Identity.ModelFingerprint,
                Numerics = source.Identity.Numerics.ToString(),
                Kv = source.Identity.Geometry.ToWire(),
                RoomBlocks = 7,
                KnownTokens = (uint)ThePrompt.Length,
                LeaseMs = leaseMs,
            },
        });
        return target;
    }

    /// <summary>Takes and acknowledges everything up to the tail.</summary>
    private static async Task ToTailAsync(PlayedTarget target, bool repeat = false)
    {
        var (received, room) = (0, 7);
        while (await target.NextAsync() is { MigrateTail: null } message)
        {
            if (message.Piece is { } piece) received = (int)(piece.FirstBlock + piece.Blocks);
            if (message.MigrateRoom is { } asked) room = (int)asked.Blocks;
            if (message.Piece is null && message.MigrateRoom is null) continue;
            for (var i = 0; i < (repeat ? 3 : 1); i++) await target.SendAsync(Progress(received, room));
        }
    }

    private static async Task<PlayedSource> PlaySourceAsync(MigrationBench target, int epoch, uint leaseMs = 120_000)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var start = Start("a", ThePrompt, 10, SequencePart.Migrate, epoch);
        start.LeaseMs = leaseMs;
        start.SourceEpoch = 1;
        start.Source = new DataAddress
        {
            Host = "127.0.0.1",
            Port = (uint)((IPEndPoint)listener.LocalEndPoint!).Port,
        };
        target.Start(start);
        var socket = await listener.AcceptAsync().WaitAsync(TimeSpan.FromMinutes(2));
        var source = new PlayedSource(socket, new FrameSocket(socket));
        await source.SendAsync(new DataMessage { Greeting = new Greeting() });
        Assert.NotNull((await source.NextAsync()).Attach);
        Assert.NotNull((await source.NextAsync()).Migrate);
        return source;
    }

    private static DataMessage Progress(int received, int room) => new()
    {
        MigrateProgress = new MigrateProgress { ReceivedBlocks = (uint)received, RoomBlocks = (uint)room },
    };

    private static DataMessage Tail(uint blocks, uint computed, uint known) => new()
    {
        MigrateTail = new MigrateTail { Blocks = blocks, ComputedTokens = computed, KnownTokens = known },
    };

    private static DataMessage Tokens(uint first)
    {
        var tokens = new MigrateTokens { FirstIndex = first };
        tokens.Tokens.Add(3);
        return new DataMessage { MigrateTokens = tokens };
    }
}
