using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>
/// One worker without a control link: engine thread, data link server and puller, on real loopback sockets.
/// </summary>
internal sealed class HandoffBench : IAsyncDisposable
{
    private readonly TcpBlockTransport _transport;
    private readonly PullStarter _pulls;
    private readonly HandoffServer _server;
    private readonly SemaphoreSlim _credits = new(0);
    private readonly SemaphoreSlim _arrivals = new(0);
    private bool _disposed;

    public HandoffBench(
        WorkerRole role, TimeProvider? time = null, int blocks = 64, int budget = 16, bool hostMemory = true,
        string model = "model", PhaseHold? hold = null, TimeSpan? pullerWait = null,
        KvTransport transport = KvTransport.Tcp, int connections = 1)
    {
        time ??= PatientTime.Links;
        Runner = new FakeRunner(blocks, hostMemory, shared: transport != KvTransport.Tcp);
        _transport = new TcpBlockTransport(
            Runner.Kv, transport, time, limits: new TcpLinkLimits(null, connections, null, LanesFromBytes: 0));
        _server = new HandoffServer(_transport.Listen("127.0.0.1", 0), time, NullLogger.Instance);
        Identity = new WorkerIdentity
        {
            WorkerId = role.ToString(),
            Incarnation = 41,
            Role = role,
            ModelName = "fake",
            ModelFingerprint = model,
            Numerics = Runner.Numerics,
            Geometry = FakeRunner.Geometry,
            TotalBlocks = blocks,
            MaxContextTokens = FakeRunner.ContextMax,
            DataHost = "127.0.0.1",
            DataPort = _server.Port,
        };
        _pulls = new PullStarter(_transport, Runner.Kv, Identity, hold, time, NullLogger.Instance);
        Engine = new Engine(Runner, new EngineSettings
        {
            Role = role,
            ModelFingerprint = model,
            StepBudgetTokens = budget,
            PullerWaitLimit = pullerWait ?? EngineBench.Lease,
        }, _pulls, hold, time, NullLogger.Instance);
        _server.Start((channel, first) => first.BodyCase switch
        {
            DataMessage.BodyOneofCase.Hello => new PullerConnection(
                channel, first.Hello, Identity, PostOfPuller, hold, time, NullLogger.Instance),
            DataMessage.BodyOneofCase.FetchPrefix => new PrefixConnection(
                channel, first.FetchPrefix, Identity, Engine.Post, time, NullLogger.Instance),
            _ => null,
        });
        Engine.Start();
    }

    /// <summary>Pullers have said how much they take: the engine hears of it before what is posted from now on.
    /// </summary>
    public async Task WhenCreditAsync(int pullers = 1)
    {
        for (var i = 0; i < pullers; i++)
            Assert.True(await _credits.WaitAsync(TimeSpan.FromMinutes(2)), $"{i} of {pullers} pullers came");
    }

    /// <summary>A puller has come: the engine hears of it before what is posted from now on.</summary>
    public async Task WhenArrivedAsync() =>
        Assert.True(await _arrivals.WaitAsync(TimeSpan.FromMinutes(2)), "no puller came");

    public WorkerIdentity Identity { get; }

    public FakeRunner Runner { get; }

    public Engine Engine { get; }

    public RecordingOwner Owner { get; } = new();

    public DataAddress Address => new()
    {
        WorkerId = Identity.WorkerId,
        Incarnation = Identity.Incarnation,
        Host = Identity.DataHost,
        Port = (uint)Identity.DataPort,
    };

    public void Start(StartSequence start, DataAddress? source = null)
    {
        start.Source = source;
        Engine.Post(new EngineCommand.Start(Owner, start));
    }

    public void Abort(string request, int epoch = 1) => Engine.Post(
        new EngineCommand.Abort(Owner, new Krewe.Abstractions.SequenceKey(request, 0, epoch), "test"));

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
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        await Engine.DisposeAsync();
        await _pulls.DisposeAsync();
        await _server.DisposeAsync();
        _transport.Dispose();
        Runner.Dispose();
    }

    private void PostOfPuller(EngineCommand command)
    {
        Engine.Post(command);
        if (command is EngineCommand.PullerArrived) _arrivals.Release();
        if (command is EngineCommand.PullerSign { Credit: > 0 }) _credits.Release();
    }
}
