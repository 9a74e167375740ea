using System.Buffers.Binary;
using System.Security.Cryptography;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.KvEvents;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// A worker process: opens the model, serves its silos until told to stop, and leaves nothing behind. Everything that
/// it holds is given back in the order links → engine → transfers → arena, so that no transfer outlives its memory.
/// </summary>
public sealed partial class WorkerHost
{
    private static readonly TimeSpan DrainLook = TimeSpan.FromSeconds(1);

    private readonly WorkerOptions _options;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly LinkTls? _tls;

    private WorkerHost(WorkerOptions options, ILoggerFactory loggers, TimeProvider time)
    {
        _tls = LinkTls.Open(options.LinkTls);
        (_options, _loggers, _time) = (options, loggers, time);
        _logger = loggers.CreateLogger("Krewe.Worker");
    }

    /// <summary>
    /// Runs the worker until <paramref name="stopping"/> (SIGTERM) or its silo has drained it; then returns 0. Throws
    /// <see cref="KreweException"/> for invalid options (all of them in one message), a refusal for good, a data port
    /// in use or a broken engine, and <see cref="ModelException"/> for a folder that cannot be served.
    /// </summary>
    public static async Task<int> RunAsync(
        WorkerOptions options, ILoggerFactory loggers, TimeProvider time, CancellationToken stopping)
    {
        if (options.Validate().ToArray() is { Length: > 0 } errors)
            throw new KreweException(ErrorCode.InvalidOptions, string.Join('\n', errors));
        using var model = ModelFolder.Open(options.ModelDirectory);
        using var runner = ModelRunners.Create(
            model, options, loggers.CreateLogger("Krewe.Worker"), shareKv: options.KvTransport != KvTransport.Tcp);
        DemandTransport(options, runner.Kv);
        await new WorkerHost(options, loggers, time).ServeAsync(model, runner, stopping);
        return 0;
    }

    private static void DemandTransport(WorkerOptions options, IKvArena arena)
    {
        if (options.KvTransport != KvTransport.Shared || arena is ISharedKvArena { Shared: not null }) return;
        throw new KreweException(
            ErrorCode.InvalidOptions, "--kv-transport is shared, but this system or device has no KV memory that other "
                + "workers could map: it takes 64-bit Linux and the cpu device, or GPUs whose driver shares memory. "
                + "Use auto or tcp.");
    }

    private async Task ServeAsync(ModelFolder model, IModelRunner runner, CancellationToken stopping)
    {
        var handoffLog = _loggers.CreateLogger("Krewe.Worker.Handoff");
        using var transport = new TcpBlockTransport(
            runner.Kv, _options.KvTransport, _time, _tls, handoffLog, TcpLinkLimits.Of(_options),
            _options.KvShareFolder);
        await using var server = new HandoffServer(
            transport.Listen(_options.DataHost, _options.DataPort), _time, handoffLog);
        var identity = Identify(model, runner, server.Port);
        LogResolved(
            _logger, _options, string.Join(", ", _options.Silos), identity.Numerics, identity.Geometry,
            identity.TotalBlocks, identity.DataPort, identity.Incarnation);
        var hold = _options.TestHoldFile is { } file ? new PhaseHold(file, _options.Role, _time) : null;
        var kvEvents = _options.PrefixCache ? new KvEventLog() : null;
        await using var tiers = await TierOpening.OpenAsync(
            _options.KvTiers, runner, model.Fingerprint, kvEvents, _time, _loggers.CreateLogger("Krewe.Worker.Tiers"));
        await using var pulls = new PullStarter(transport, runner.Kv, identity, hold, _time, handoffLog);
        await using var migrations = new MigrationStarter(transport, runner.Kv, identity, hold, _time, handoffLog);
        using var metrics = new WorkerMetrics(
            identity.ModelName, identity.WorkerId, () => identity.Role.ToString().ToLowerInvariant());
        var constraints = new ConstraintFactory(model.Tokenizer, runner.VocabularySize, model.StopTokenIds);
        var settings = SettingsOf(model) with
        {
            Tiers = tiers,
            KvEvents = kvEvents,
            Constraints = constraints,
            Watch = new EngineWatch(metrics, identity.WorkerId, _time),
        };
        await using var engine = new Engine(
            runner, settings, pulls, hold, _time, _loggers.CreateLogger("Krewe.Worker.Engine"), migrations);
        server.Start((channel, first) => first.BodyCase switch
        {
            DataMessage.BodyOneofCase.Hello => new PullerConnection(
                channel, first.Hello, identity, engine.Post, hold, _time, handoffLog),
            DataMessage.BodyOneofCase.Migrate => new MigrationConnection(
                channel, first.Migrate, identity, engine.Post, hold, _time, handoffLog),
            DataMessage.BodyOneofCase.FetchPrefix => new PrefixConnection(
                channel, first.FetchPrefix, identity, engine.Post, _time, handoffLog),
            _ => null,
        });
        engine.Start();

        using var linksStopping = new CancellationTokenSource();
        var silos = OpenLinks(identity, engine, constraints, kvEvents);
        metrics.Observe(identity.Numerics.ToString(), () => engine.Load, () => silos.UpCount);
        await using var http = await ServeMetricsAsync(metrics, engine, silos);
        engine.RoleChanged = role =>
        {
            LogRole(_logger, identity.Role, role);
            identity.Role = role;
            silos.Renew();
        };
        var links = silos.RunAsync(_options.Silos, linksStopping.Token);
        await using var drain = stopping.Register(() => engine.Post(new EngineCommand.Drain()));
        var ended = await Task.WhenAny(links, engine.Completion, DrainedAsync(engine));
        await linksStopping.CancelAsync();
        await links;
        if (ended == engine.Completion)
        {
            throw new KreweException(ErrorCode.Internal, "The engine broke; see the error before.",
                innerException: engine.Completion.Exception);
        }
    }

    /// <summary>
    /// Ends when the worker drains (told by its silo or by SIGTERM) and holds nothing any more: what it had has
    /// finished
    /// or is elsewhere. At the latest when the grace is over.
    /// </summary>
    private async Task DrainedAsync(Engine engine)
    {
        await engine.DrainBegun;
        LogDraining(_logger, engine.DrainLeft.TotalSeconds);
        while (engine.DrainLeft is { Ticks: > 0 } left)
        {
            // Looked at again now and then: a second order may have shortened the grace.
            var pause = left < DrainLook ? left : DrainLook;
            using var waited = new CancellationTokenSource();
            var grace = Task.Delay(pause, _time, waited.Token);
            if (await Task.WhenAny(engine.Drained, grace) != grace)
            {
                await waited.CancelAsync();
                return;
            }
        }

        LogCut(_logger, engine.Load.RunningSequences);
    }

    /// <summary>Null when nobody asked for it.</summary>
    private async Task<IAsyncDisposable?> ServeMetricsAsync(WorkerMetrics metrics, Engine engine, SiloLinks silos)
    {
        if (_options.Metrics is not { } endpoint) return null;
        string? NotReady() =>
            silos.UpCount == 0 ? "no silo has taken the worker's link"
            : engine.Load.Draining ? "the worker takes nothing new: it is being stopped"
            : null;
        return await MetricsServer.StartAsync(
            endpoint, metrics.Set, NotReady, () => !engine.Completion.IsFaulted);
    }

    private SiloLinks OpenLinks(
        WorkerIdentity identity, Engine engine, ConstraintFactory constraints, KvEventLog? kvEvents)
    {
        var logger = _loggers.CreateLogger("Krewe.Worker.Links");
        return new SiloLinks((address, links) => new SiloLink(
            address, identity, Post, () => engine.Load, links, _time, logger, kvEvents, _tls));

        // What a constraint is compiled to is ready before the engine hears of it.
        void Post(EngineCommand command)
        {
            if (command is EngineCommand.Start { Sequence.Sampling.Constraint: { Length: > 0 } specification })
                constraints.Prepare(specification);
            engine.Post(command);
        }
    }

    private WorkerIdentity Identify(ModelFolder model, IModelRunner runner, int dataPort) => new()
    {
        WorkerId = _options.WorkerId,
        Incarnation = BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong))),
        Role = _options.Role,
        ModelName = _options.ServedModelName ?? model.Name,
        ModelFingerprint = model.Fingerprint,
        Numerics = runner.Numerics,
        Geometry = runner.Kv.Geometry,
        TotalBlocks = runner.Kv.BlockCount,
        MaxContextTokens = runner.MaxContextTokens,
        DataHost = _options.DataHost,
        DataPort = dataPort,
    };

    private EngineSettings SettingsOf(ModelFolder model) => new()
    {
        Role = _options.Role,
        ModelFingerprint = model.Fingerprint,
        EndTokens = model.StopTokenIds,
        StepBudgetTokens = _options.StepBudgetTokens,
        InterTokenSlo = _options.InterTokenSlo,
        Eviction = _options.Eviction,
        MaxRunningSequences = _options.MaxRunningSequences,
        PrefixCache = _options.PrefixCache,
        BlockingMigration = _options.BlockingMigration,
        DrainGrace = _options.DrainGrace,
    };
}
