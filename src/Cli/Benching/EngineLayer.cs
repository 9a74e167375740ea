using System.Globalization;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Krewe.Workers;
using Microsoft.Extensions.Logging;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Cli;

/// <summary>The whole engine loop of a worker: planning, steps, greedy sampling, one stream a sequence.</summary>
internal sealed class EngineLayer : IAsyncDisposable
{
    private const int BlockTokens = 16;

    private readonly BenchSizes _sizes;
    private readonly TimeProvider _time;
    private readonly LocalEngine _engine;
    private readonly int _vocabularySize;
    private int _started;

    public EngineLayer(ModelFolder model, BenchSizes sizes, TimeProvider time, ILogger logger)
    {
        (_sizes, _time, _vocabularySize) = (sizes, time, model.Config.VocabularySize);
        var options = new WorkerOptions
        {
            WorkerId = "bench",
            Role = WorkerRole.Mixed,
            ModelDirectory = model.Directory,
            Silos = [],
            Threads = sizes.Threads,
            Weights = sizes.Weights,
            KvMemoryBytes = sizes.KvBytes(model.Config, BlockTokens),
            KvFormat = sizes.KvFormat,
            BlockTokens = BlockTokens,
            StepBudgetTokens = sizes.StepTokens,
            MaxRunningSequences = sizes.MaxConcurrency,
            // Rounds repeat their prompts: a hit would leave nothing to measure.
            PrefixCache = false,
        };
        _engine = LocalEngine.Create(model, options, time, logger);
    }

    /// <param name="concurrency">Streams.</param>
    /// <param name="sampling">How they draw; null = greedily. With a constraint they must outlast the window.</param>
    public async Task<BenchRound> MeasureAsync(
        int concurrency, CancellationToken cancellationToken, SamplingParameters? sampling = null)
    {
        var starts = Enumerable.Range(0, concurrency)
            .Select(stream => Describe(stream, concurrency, sampling)).ToArray();
        var window = new DecodeWindow(concurrency, _sizes.DecodeSteps, _time);
        await Task.WhenAll(starts.Select((start, stream) => FollowAsync(start, stream, window, cancellationToken)));
        return window.ToRound();
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    private async Task FollowAsync(
        StartSequence start, int stream, DecodeWindow window, CancellationToken cancellationToken)
    {
        await foreach (var run in _engine.GenerateAsync(start, cancellationToken))
        {
            foreach (var _ in run.Tokens)
            {
                // Leaving the enumeration aborts the sequence.
                if (!window.Arrive(stream)) return;
            }
        }
    }

    private StartSequence Describe(int stream, int concurrency, SamplingParameters? sampling)
    {
        sampling = sampling?.Clone() ?? new SamplingParameters { Temperature = 0, TopP = 1, RepetitionPenalty = 1 };
        sampling.Seed += (ulong)stream;
        var isFree = sampling.Constraint.Length == 0;
        var start = new StartSequence
        {
            Key = new Krewe.Abstractions.Wire.SequenceKey
            {
                RequestId = (_started++).ToString(CultureInfo.InvariantCulture),
                Epoch = 1,
            },
            Part = SequencePart.Whole,
            // A constrained output is not steered to its end while that is far.
            MaxOutputTokens = isFree ? (uint)_sizes.StreamTokens(concurrency) : int.MaxValue,
            IgnoreEos = isFree,
            Sampling = sampling,
        };
        start.PromptTokens.AddRange(
            BenchPrompts.Of(stream, _sizes.PromptTokens, _vocabularySize).Select(token => (uint)token));
        return start;
    }
}
