using System.Security.Cryptography;
using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>A worker process, put together and run until it is stopped.</summary>
public static class WorkerHost
{
    /// <summary>Runs until stopped; a stop drains first. Throws when the model or a silo refuses for good.</summary>
    public static async Task<int> RunAsync(
        WorkerOptions options, ILoggerFactory logs, TimeProvider time, CancellationToken cancellationToken)
    {
        var logger = logs.CreateLogger("Krewe.Worker");
        using var model = ModelFolder.Open(options.ModelDirectory);
        using var runner = ModelRunners.Create(
            model, options.Device, options.KvFormat, options.BlockTokens, options.KvMemoryBytes, options.Threads);
        var hold = options.TestHoldFile is { } file ? new PhaseHold(file, options.Role, time) : null;
        var transport = new TcpBlockTransport(runner.Kv.Geometry.BlockBytes);
        await using var server = new HandoffServer(transport.Listen(options.DataHost, options.DataPort), time, logger);
        Span<byte> drawn = stackalloc byte[8];
        RandomNumberGenerator.Fill(drawn);
        var identity = new WorkerIdentity
        {
            WorkerId = options.WorkerId,
            Incarnation = BitConverter.ToUInt64(drawn),
            Role = options.Role,
            ModelName = options.ServedModelName ?? model.Name,
            ModelFingerprint = model.Fingerprint,
            Numerics = runner.Numerics,
            Geometry = runner.Kv.Geometry,
            TotalBlocks = runner.Kv.BlockCount,
            MaxContextTokens = runner.MaxContextTokens,
            DataHost = options.DataHost,
            DataPort = server.Port,
        };
        await using var pulls = new PullStarter(transport, runner.Kv, identity, hold, time, logger);
        var settings = new EngineSettings
        {
            Role = options.Role,
            ModelFingerprint = model.Fingerprint,
            EndTokens = model.StopTokenIds,
            StepBudgetTokens = options.StepBudgetTokens,
            MaxRunningSequences = options.MaxRunningSequences,
            PrefixCache = options.PrefixCache,
        };
        await using var engine = new Engine(runner, settings, pulls, hold, time, logger);
        engine.Start();
        server.Start(channel => new PullerConnection(channel, runner.Kv, identity, engine.Post, hold, time, logger));
        var links = new SiloLinks((address, welcomed) =>
            new SiloLink(address, identity, engine.Post, () => engine.Load, welcomed, time, logger));
        await links.RunAsync(options.Silos, cancellationToken);
        return 0;
    }
}
