using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using SequenceKey = Krewe.Abstractions.SequenceKey;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers;

/// <summary>
/// The worker's engine without links, in the caller's process: the same code, and so the same tokens, as a worker that
/// serves both phases. Many streams may run at once.
/// </summary>
public sealed class LocalEngine : IAsyncDisposable
{
    private readonly IModelRunner _runner;
    private readonly Engine _engine;
    private readonly KvTiers? _tiers;

    internal LocalEngine(IModelRunner runner, EngineSettings settings, TimeProvider time, ILogger logger)
    {
        (_runner, _tiers) = (runner, settings.Tiers);
        _engine = new Engine(runner, settings, pulls: null, hold: null, time, logger);
        _engine.Start();
    }

    /// <summary>
    /// Builds a runner for the model and starts an engine on it. Of the options, those of the device, memory, batching
    /// and prefix cache count. The model must stay open as long as the engine lives.
    /// </summary>
    public static LocalEngine Create(
        ModelFolder model, WorkerOptions options, TimeProvider time, ILogger logger) => new(
        ModelRunners.Create(model, options, logger),
        SettingsOf(model, options), time, logger);

    /// <summary>As <see cref="Create"/>, with the KV tiers that the options ask for.</summary>
    public static async ValueTask<LocalEngine> CreateWithTiersAsync(
        ModelFolder model, WorkerOptions options, TimeProvider time, ILogger logger)
    {
        var runner = ModelRunners.Create(model, options, logger);
        var tiers = await TierOpening.OpenAsync(options.KvTiers, runner, model.Fingerprint, events: null, time, logger);
        return new LocalEngine(runner, SettingsOf(model, options) with { Tiers = tiers }, time, logger);
    }

    public NumericsFingerprint Numerics => _runner.Numerics;

    public int MaxContextTokens => _runner.MaxContextTokens;

    /// <summary>Bytes of one KV block.</summary>
    public int BlockBytes => _runner.Kv.Geometry.BlockBytes;

    /// <summary>
    /// Takes nothing new, and returns when what runs has ended and what nobody uses any more was spilled.
    /// </summary>
    public async Task DrainAsync()
    {
        _engine.Post(new EngineCommand.Drain());
        await _engine.Drained;
        if (_tiers is not null) await _tiers.Store.FlushAsync();
    }

    /// <summary>
    /// Computes one stream. <paramref name="start"/> has a key unlike those that run; its part must be WHOLE. Runs come
    /// in order; the last one has a finish reason. Throws <see cref="KreweException"/> when the sequence fails. Leaving
    /// the enumeration early aborts the sequence.
    /// </summary>
    public async IAsyncEnumerable<TokenRun> GenerateAsync(
        StartSequence start, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var stream = new Stream();
        _engine.Post(new EngineCommand.Start(stream, start));
        try
        {
            await foreach (var run in stream.Runs.ReadAllAsync(cancellationToken)) yield return run;
        }
        finally
        {
            if (!stream.IsReleased) _engine.Post(new EngineCommand.Abort(stream, KeyOf(start), "The caller left."));
        }
    }

    /// <summary>Ends the engine; streams that still run get no more tokens.</summary>
    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        if (_tiers is not null) await _tiers.DisposeAsync();
        _runner.Dispose();
    }

    private static EngineSettings SettingsOf(ModelFolder model, WorkerOptions options) => new()
    {
        Role = WorkerRole.Mixed,
        ModelFingerprint = model.Fingerprint,
        EndTokens = model.StopTokenIds,
        StepBudgetTokens = options.StepBudgetTokens,
        InterTokenSlo = options.InterTokenSlo,
        Eviction = options.Eviction,
        MaxRunningSequences = options.MaxRunningSequences,
        PrefixCache = options.PrefixCache,
        Constraints = new ConstraintFactory(model.Tokenizer, model.Config.VocabularySize, model.StopTokenIds),
    };

    private static SequenceKey KeyOf(StartSequence start) => start.Key.FromWire();

    /// <summary>One caller's stream: ends with RELEASED, with an error when a FAILED came before it.</summary>
    private sealed class Stream : ISequenceOwner
    {
        private readonly Channel<TokenRun> _runs = Channel.CreateUnbounded<TokenRun>();
        private KreweException? _failure;
        private volatile bool _released;

        public ChannelReader<TokenRun> Runs => _runs.Reader;

        public bool IsReleased => _released;

        public void Deliver(TokenBatch tokens)
        {
            foreach (var run in tokens.Runs) _runs.Writer.TryWrite(run);
        }

        public void Deliver(SequenceEvent change)
        {
            if (change.Kind == SequenceEventKind.Failed)
            {
                _failure = new KreweException(
                    WireNames.ParseErrorCode(change.ErrorCode) ?? ErrorCode.Internal, change.Message);
            }

            if (change.Kind != SequenceEventKind.Released) return;
            _released = true;
            _runs.Writer.TryComplete(_failure);
        }
    }
}
