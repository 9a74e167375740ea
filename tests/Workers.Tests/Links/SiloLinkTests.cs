using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

public sealed class SiloLinkTests
{
    [Fact]
    public async Task The_hello_says_who_the_worker_is_and_the_load_follows_it()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        Assert.Equal(
            (ProtocolVersion.Oldest, ProtocolVersion.Newest), (link.Hello.Protocol, link.Hello.NewestProtocol));
        Assert.Equal("mixed-0", link.Hello.WorkerId);
        Assert.Equal(41u, link.Hello.Incarnation);
        Assert.Equal(1u, link.Hello.LinkEpoch);
        Assert.Equal("model", link.Hello.ModelFingerprint);
        Assert.Equal(16u, link.Hello.Kv.BlockTokens);
        var load = (await link.NextAsync(message => message.Load is not null)).Load;
        Assert.Equal((64u, 64u), (load.TotalBlocks, load.FreeBlocks));
    }

    [Fact]
    public async Task Sequences_that_come_over_the_link_are_answered_on_it()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        await link.StartAsync(Start("a", Prompt(1, 30), maxOutput: 12));
        Assert.Equal(FakeRunner.Answer(Prompt(1, 30), 12), await link.TokensAsync("a"));
    }

    [Fact]
    public async Task An_abort_ends_a_sequence_and_an_unknown_one_is_released_at_once()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        var unknown = new Krewe.Abstractions.Wire.SequenceKey { RequestId = "unknown", Epoch = 3 };
        await link.SendAsync(new SiloMessage { Abort = new AbortSequence { Key = unknown } });
        var released = await link.NextAsync(message => message.Event is not null);
        Assert.Equal(SequenceEventKind.Released, released.Event.Kind);
        Assert.Equal(("unknown", 3u), (released.Event.Key.RequestId, released.Event.Key.Epoch));
    }

    [Theory]
    [InlineData(ErrorCode.ProtocolMismatch)]
    [InlineData(ErrorCode.ModelMismatch)]
    [InlineData(ErrorCode.NumericsMismatch)]
    [InlineData(ErrorCode.KvGeometryMismatch)]
    public async Task A_refusal_that_names_a_difference_ends_the_worker(ErrorCode code)
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync(
            new HelloReply { ErrorCode = code.ToString(), Message = "yours is A, ours is B" });
        var refused = await Assert.ThrowsAsync<KreweException>(() => worker.Links);
        Assert.Equal(code, refused.Code);
        Assert.Contains("yours is A, ours is B", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_that_may_pass_is_tried_again()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var refused = await silo.AcceptAsync(
            new HelloReply { ErrorCode = nameof(ErrorCode.Draining), Message = "later" });
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        Assert.Equal(2u, link.Hello.LinkEpoch);
    }

    [Fact]
    public async Task A_lost_link_voids_its_work_and_comes_back_with_the_next_epoch()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using (var link = await silo.AcceptAsync(PlayedSilo.Welcome()))
        {
            await link.StartAsync(Start("old", Prompt(1, 30), maxOutput: 300));
            await link.NextAsync(message => message.Tokens is not null);
            worker.Runner.BeforeRun = _ => worker.Gate.Wait(TimeSpan.FromMinutes(2));
        }

        using var next = await silo.AcceptAsync(PlayedSilo.Welcome());
        worker.Gate.Set();
        Assert.Equal(2u, next.Hello.LinkEpoch);
        var load = await next.NextAsync(
            message => message.Load is { PinnedBlocks: 0, RunningSequences: 0, Steps: > 0 });
        Assert.Equal(0u, load.Load.WaitingSequences);
        await next.StartAsync(Start("old", Prompt(1, 30), maxOutput: 5, epoch: 2));
        Assert.Equal(FakeRunner.Answer(Prompt(1, 30), 5), await next.TokensAsync("old"));
    }

    [Fact]
    public async Task A_silent_silo_is_given_up()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        var impatient = PlayedSilo.Welcome();
        (impatient.HeartbeatMs, impatient.SilenceMs) = (20, 100);
        using var link = await silo.AcceptAsync(impatient);
        await link.WhenClosedAsync();
        using var next = await silo.AcceptAsync(PlayedSilo.Welcome());
        Assert.Equal(2u, next.Hello.LinkEpoch);
    }

    [Fact]
    public async Task Garbage_on_the_link_closes_it()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        await link.SendRawAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());
        await link.WhenClosedAsync();
        using var next = await silo.AcceptAsync(PlayedSilo.Welcome());
    }

    [Fact]
    public async Task Frames_that_no_silo_would_send_cost_their_link_and_nothing_else()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        var frames = new FuzzedFrames(20_261_201);
        for (var i = 0; i < (FuzzedFrames.IsLong ? 60 : 3); i++)
        {
            using var odd = await silo.AcceptAsync(PlayedSilo.Welcome());
            try
            {
                for (var sent = 0; sent < 50; sent++) await odd.SendRawAsync(frames.NextControl());
            }
            catch (IOException)
            {
                // The worker has had enough of it.
            }
        }

        using var sound = await silo.AcceptAsync(PlayedSilo.Welcome());
        await sound.StartAsync(Start("a", Prompt(1, 5), maxOutput: 3));
        Assert.Equal(3, (await sound.TokensAsync("a")).Count);
        Assert.False(worker.Engine.Completion.IsCompleted);
    }

    [Fact]
    public async Task Other_silos_are_learnt_from_the_first_and_a_second_address_of_one_is_let_go()
    {
        using var first = new PlayedSilo();
        using var second = new PlayedSilo();
        await using var worker = new LinkedWorker(first.Address);
        var welcome = PlayedSilo.Welcome();
        welcome.SiloLinks.Add(first.Address);
        welcome.SiloLinks.Add(second.Address);
        using var link = await first.AcceptAsync(welcome);
        using var learnt = await second.AcceptAsync(PlayedSilo.Welcome()); // says that it is silo-0 as well
        await learnt.WhenClosedAsync();
        await link.StartAsync(Start("a", Prompt(1, 5), maxOutput: 3));
        Assert.Equal(3, (await link.TokensAsync("a")).Count);
    }

    [Fact]
    public async Task Silos_that_come_later_are_linked_and_those_that_left_are_let_go()
    {
        using var first = new PlayedSilo();
        using var second = new PlayedSilo();
        await using var worker = new LinkedWorker(first.Address);
        using var link = await first.AcceptAsync(Welcome("silo-0"));
        await link.SendAsync(Silos(first.Address, second.Address));
        using (var joined = await second.AcceptAsync(Welcome("silo-1")))
            Assert.Equal(["silo-0"], joined.Hello.LinkedSilos);

        // Its connection broke and it may come back: it is tried until nobody tells of it any more.
        using (await second.AcceptAsync()) { }
        await link.SendAsync(Silos(first.Address));
        await link.StartAsync(Start("a", Prompt(1, 5), maxOutput: 3));
        Assert.Equal(3, (await link.TokensAsync("a")).Count);
        await second.WhenLeftAloneAsync();

        // The positive control: told of again, it is linked again.
        await link.SendAsync(Silos(first.Address, second.Address));
        using var back = await second.AcceptAsync(Welcome("silo-1"));
        Assert.Equal(["silo-0"], back.Hello.LinkedSilos);
    }

    [Fact]
    public async Task A_silo_of_the_version_before_is_linked_as_it_expects()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync();
        // What version 1 checks, and what it answers: it knows nothing of the newer fields.
        Assert.Equal(1u, link.Hello.Protocol);
        await link.SendAsync(new SiloMessage { Welcome = PlayedSilo.Welcome() });
        await link.StartAsync(Start("a", Prompt(1, 5), maxOutput: 3));
        Assert.Equal(3, (await link.TokensAsync("a")).Count);
    }

    private static HelloReply Welcome(string silo)
    {
        var welcome = PlayedSilo.Welcome(silo);
        welcome.Protocol = ProtocolVersion.Newest;
        return welcome;
    }

    private static SiloMessage Silos(params string[] links) => new()
    {
        SiloSet = new SiloSet { SiloLinks = { links } },
    };

    [Fact]
    public async Task Stopping_sends_what_waits_and_that_the_worker_leaves_before_the_link_closes()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        var welcome = PlayedSilo.Welcome();
        // One report at the start, then none for the test's time but that of the end.
        welcome.HeartbeatMs = 600_000;
        welcome.SilenceMs = 1_200_000;
        using var link = await silo.AcceptAsync(welcome);
        await link.StartAsync(Start("a", Prompt(1, 5), maxOutput: 50));
        await link.NextAsync(message => message.Event?.Kind == SequenceEventKind.Accepted);
        worker.Engine.Post(new EngineCommand.Drain());
        await worker.Engine.Drained.WaitAsync(TimeSpan.FromMinutes(2));
        var stopped = worker.StopAsync();
        Assert.Equal(50, (await link.TokensAsync("a")).Count);
        await link.NextAsync(message => message.Load is { Draining: true });
        await stopped;
    }

    [Fact]
    public async Task The_silo_is_told_of_the_kv_by_a_snapshot_then_events_and_a_snapshot_again_when_it_asks()
    {
        using var silo = new PlayedSilo();
        await using var worker = new LinkedWorker(silo.Address);
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        var snapshot = (await link.NextAsync(message => message.Kv is not null)).Kv;
        Assert.True(snapshot is { Snapshot: true, Ends: true, Offset: 0, First: 1 });
        Assert.Equal(0, snapshot.Kinds.Length);

        await link.StartAsync(Start("a", Prompt(1, 40), maxOutput: 2)); // two full blocks
        var events = (await link.NextAsync(message => message.Kv is not null)).Kv;
        Assert.False(events.Snapshot);
        Assert.Equal(1ul, events.First);
        if (events.Kinds.Length == 1) // read between the two
            Assert.Equal(2ul, (await link.NextAsync(message => message.Kv is not null)).Kv.First);
        var head = KvChange.Unpack(events.Kinds[0], PrefixHash.Root("model", ""))!.Value;
        Assert.Equal((KvChangeKind.Stored, true), (head.Kind, head.IsGroupHead));
        var expected = new byte[16];
        var hash = PrefixHash.Root("model", "").Next(Prompt(1, 40).AsSpan(0, 16)).Value;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128LittleEndian(expected, hash);
        Assert.Equal(expected, events.Hashes.ToByteArray()[..16]);

        await link.SendAsync(new SiloMessage { KvResync = new KvResync() });
        var again = (await link.NextAsync(message => message.Kv is { Snapshot: true })).Kv;
        Assert.Equal((2, 3ul, true), (again.Kinds.Length, again.First, again.Ends));
    }

    /// <summary>Engine and links of a worker, without data link.</summary>
    private sealed class LinkedWorker : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stopping = new();

        public LinkedWorker(string silo)
        {
            var settings = new EngineSettings
            {
                Role = WorkerRole.Mixed,
                ModelFingerprint = "model",
                KvEvents = KvEvents,
            };
            var time = new PatientTime(TimeSpan.FromSeconds(5)); // back-off stays, the limit of a hello is minutes
            Engine = new Engine(Runner, settings, pulls: null, hold: null, time, NullLogger.Instance);
            Engine.Start();
            var identity = new WorkerIdentity
            {
                WorkerId = "mixed-0",
                Incarnation = 41,
                Role = WorkerRole.Mixed,
                ModelName = "fake",
                ModelFingerprint = "model",
                Numerics = Runner.Numerics,
                Geometry = FakeRunner.Geometry,
                TotalBlocks = 64,
                MaxContextTokens = FakeRunner.ContextMax,
            };
            Links = new SiloLinks((address, links) => new SiloLink(
                address, identity, Engine.Post, () => Engine.Load, links, time,
                NullLogger.Instance, KvEvents)).RunAsync([silo], _stopping.Token);
        }

        public KvEventLog KvEvents { get; } = new();

        public FakeRunner Runner { get; } = new(64);

        public ManualResetEventSlim Gate { get; } = new(false);

        public Engine Engine { get; }

        public Task Links { get; }

        public async Task StopAsync()
        {
            await _stopping.CancelAsync();
            await Links.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        public async ValueTask DisposeAsync()
        {
            Gate.Set();
            await StopAsync();
            await Engine.DisposeAsync();
        }
    }
}
