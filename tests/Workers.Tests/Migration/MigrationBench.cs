using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>
/// One decoding worker without a control link: engine thread, data link server and migrations, on real loopback
/// sockets.
/// </summary>
internal sealed class MigrationBench : IAsyncDisposable
{
    private readonly TcpBlockTransport _transport;
    private readonly MigrationStarter _migrations;
    private readonly HandoffServer _server;
    private bool _disposed;

    public MigrationBench(
        TimeProvider? time = null, int blocks = 64, int budget = 16, bool hostMemory = true, int migrationsMax = 4,
        string model = "model", bool prefixCache = true, TimeSpan? freezeLimit = null,
        KvTransport transport = KvTransport.Tcp)
    {
        time ??= PatientTime.Links;
        Runner = new FakeRunner(blocks, hostMemory, shared: transport != KvTransport.Tcp);
        _transport = new TcpBlockTransport(Runner.Kv, transport, time);
        _server = new HandoffServer(_transport.Listen("127.0.0.1", 0), time, NullLogger.Instance);
        Identity = new WorkerIdentity
        {
            WorkerId = $"worker-{_server.Port}",
            Incarnation = 41,
            Role = WorkerRole.Mixed,
            ModelName = "fake",
            ModelFingerprint = model,
            Numerics = Runner.Numerics,
            Geometry = FakeRunner.Geometry,
            TotalBlocks = blocks,
            MaxContextTokens = FakeRunner.ContextMax,
            DataHost = "127.0.0.1",
            DataPort = _server.Port,
        };
        _migrations = new MigrationStarter(_transport, Runner.Kv, Identity, hold: null, time, NullLogger.Instance);
        Engine = new Engine(Runner, new EngineSettings
        {
            Role = WorkerRole.Mixed,
            ModelFingerprint = model,
            StepBudgetTokens = budget,
            MigrationsMax = migrationsMax,
            PrefixCache = prefixCache,
            FreezeLimit = freezeLimit ?? EngineBench.Lease,
        }, pulls: null, hold: null, time, NullLogger.Instance, _migrations);
        _server.Start((channel, first) => first.Migrate is null
            ? null
            : new MigrationConnection(
                channel, first.Migrate, Identity, Post, hold: null, time, NullLogger.Instance));
        Engine.Start();
    }

    public WorkerIdentity Identity { get; }

    public FakeRunner Runner { get; }

    public Engine Engine { get; }

    public RecordingOwner Owner { get; } = new();

    /// <summary>What targets of its sequences have said, as a source.</summary>
    public TargetSigns Targets { get; } = new();

    public DataAddress Address => new()
    {
        WorkerId = Identity.WorkerId,
        Incarnation = Identity.Incarnation,
        Host = Identity.DataHost,
        Port = (uint)Identity.DataPort,
    };

    public void Start(StartSequence start, ISequenceOwner? owner = null) =>
        Engine.Post(new EngineCommand.Start(owner ?? Owner, start));

    /// <summary>Takes over what <paramref name="source"/> runs as <paramref name="sourceEpoch"/>.</summary>
    public void Take(
        StartSequence start, MigrationBench source, int sourceEpoch = 1, ISequenceOwner? owner = null)
    {
        start.Part = SequencePart.Migrate;
        start.Source = source.Address;
        start.SourceEpoch = (uint)sourceEpoch;
        Start(start, owner);
    }

    public void Abort(string request, int epoch = 1, ISequenceOwner? owner = null) => Engine.Post(
        new EngineCommand.Abort(owner ?? Owner, new Krewe.Abstractions.SequenceKey(request, 0, epoch), "test"));

    /// <summary>
    /// The first <paramref name="steps"/> steps are computed at once; those behind them wait for a target and then keep
    /// pace with it: what runs here cannot end before it has moved.
    /// </summary>
    /// <param name="slowStep">How long a step waits for a sign of the target; null: until a target that lives is
    /// surely heard of.</param>
    public void KeepPaceAfter(int steps, TimeSpan? slowStep = null)
    {
        var hasTarget = false;
        Runner.BeforeRun = _ =>
        {
            // As of the turn before: 0 again once the target is gone, or was given up.
            var moving = Engine.Load.Migrations > 0;
            hasTarget |= moving;
            if (Runner.Steps >= steps && (moving || !hasTarget)) Targets.KeepPace(slowStep);
        };
    }

    /// <summary>
    /// Ends the engine and checks that nothing is held any more. To be called when all sequences are over.
    /// </summary>
    public async Task AssertAllReturnedAsync()
    {
        await DisposeAsync();
        Engine.CheckIntegrity();
        Assert.False(Engine.Completion.IsFaulted);
        Assert.Equal(0, Engine.Load.PinnedBlocks);
        Assert.Equal(0, Engine.Load.Leases);
        Assert.Equal(0, Engine.Load.Migrations);
    }

    private void Post(EngineCommand command)
    {
        Engine.Post(command);
        Targets.Posted(command);
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        await Engine.DisposeAsync();
        await _migrations.DisposeAsync();
        await _server.DisposeAsync();
        _transport.Dispose();
    }
}
