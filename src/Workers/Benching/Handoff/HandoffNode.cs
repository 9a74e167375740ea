using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers;

/// <summary>One side of a measured handoff: a worker's engine, data link and puller, without a control link.</summary>
internal sealed class HandoffNode : IAsyncDisposable
{
    private readonly ModelFolder? _model;
    private readonly TcpBlockTransport _transport;
    private readonly HandoffServer _server;
    private readonly PullStarter _pulls;
    private readonly Engine _engine;
    private readonly WorkerIdentity _identity;

    private HandoffNode(
        ModelFolder? model, IModelRunner runner, HandoffBenchSettings settings, KvTransport transport,
        TimeProvider time, ILogger logger)
    {
        (_model, Runner) = (model, runner);
        _transport = new TcpBlockTransport(
            runner.Kv, transport, time, limits: new TcpLinkLimits(null, settings.Connections, null));
        _server = new HandoffServer(_transport.Listen("127.0.0.1", 0), time, logger);
        _identity = new WorkerIdentity
        {
            WorkerId = "bench",
            Incarnation = 1,
            Role = WorkerRole.Mixed,
            ModelName = "bench",
            ModelFingerprint = "bench",
            Numerics = runner.Numerics,
            Geometry = runner.Kv.Geometry,
            TotalBlocks = runner.Kv.BlockCount,
            MaxContextTokens = runner.MaxContextTokens,
        };
        _pulls = new PullStarter(_transport, runner.Kv, _identity, hold: null, time, logger);
        _engine = new Engine(runner, new EngineSettings
        {
            Role = WorkerRole.Mixed,
            ModelFingerprint = "bench",
            StepBudgetTokens = model is null ? settings.PromptTokens : settings.StepTokens,

            // Every prompt is computed and moved whole, however often it is repeated.
            PrefixCache = false,
        }, _pulls, hold: null, time, logger);
        _server.Start((channel, first) => first.Hello is null
            ? null
            : new PullerConnection(channel, first.Hello, _identity, _engine.Post, hold: null, time, logger));
        _engine.Start();
    }

    public IModelRunner Runner { get; }

    public int Port => _server.Port;

    public static HandoffNode Open(
        HandoffBenchSettings settings, KvTransport transport, int seed, TimeProvider time, ILogger logger)
    {
        var share = transport != KvTransport.Tcp;
        if (settings.ModelDirectory is not { } directory)
        {
            var runner = new FillRunner(settings.Geometry, settings.KvMemoryBytes, seed, share);
            return new HandoffNode(null, runner, settings, transport, time, logger);
        }

        var model = ModelFolder.Open(directory);
        return new HandoffNode(model, ModelRunners.Create(
            model, WorkerDevice.Cpu, kvFormat: null, settings.Geometry.BlockTokens, settings.KvMemoryBytes,
            settings.Threads, shareKv: share), settings, transport, time, logger);
    }

    public DataAddress AddressOf(int port) => new()
    {
        WorkerId = "bench",
        Incarnation = _identity.Incarnation,
        Host = "127.0.0.1",
        Port = (uint)port,
    };

    /// <summary>Starts one part of a request; <paramref name="owner"/> hears how it goes.</summary>
    public void Start(
        ISequenceOwner owner, string request, SequencePart part, int promptTokens, DataAddress? source = null)
    {
        var start = new StartSequence
        {
            Key = new Krewe.Abstractions.Wire.SequenceKey { RequestId = request, Epoch = 1 },
            Part = part,
            Sampling = new SamplingParameters { TopP = 1, RepetitionPenalty = 1, Seed = 1 },
            MaxOutputTokens = 2,
            IgnoreEos = true,
            LeaseMs = 30_000,
            Source = source,
        };
        var random = new Random(promptTokens);
        for (var i = 0; i < promptTokens; i++) start.PromptTokens.Add((uint)random.Next(Runner.VocabularySize));
        _engine.Post(new EngineCommand.Start(owner, start));
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        await _pulls.DisposeAsync();
        await _server.DisposeAsync();
        _transport.Dispose();
        Runner.Dispose();
        _model?.Dispose();
    }
}
