using System.Text.Json.Serialization;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Workers;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>One gap between two tokens of a running stream.</summary>
/// <param name="AtMs">When it ended; the long prompt arrives at 0.</param>
internal readonly record struct TokenGap(double AtMs, double GapMs);

/// <summary>What one run of <see cref="StallRun"/> saw.</summary>
internal sealed record StallFigures
{
    public required string Batching { get; init; }

    /// <summary>Largest step that was allowed, tokens.</summary>
    public required int StepTokens { get; init; }

    /// <summary>P99 of the running streams' gaps before the long prompt came.</summary>
    public required double P99BeforeMs { get; init; }

    /// <summary>P99 of their gaps from its arrival to its first token.</summary>
    public required double P99DuringMs { get; init; }

    public required double MaxDuringMs { get; init; }

    /// <summary>The long prompt's time to its first token.</summary>
    public required double TtftMs { get; init; }

    /// <summary>Every gap, in the order of their ends; for the chart.</summary>
    [JsonIgnore]
    public IReadOnlyList<TokenGap> Gaps { get; init; } = [];
}

/// <summary>
/// A long prompt arrives among running streams; how long do they wait for their next token? With stall-free batching
/// the prompt is computed in chunks within the inter-token SLO; without, in one step.
/// </summary>
internal sealed class StallRun(ModelFolder model, WorkerOptions options, StallSizes sizes, TimeProvider time)
{
    /// <summary>Prompts of these lengths come before, so that code is compiled and step times are known, as on a worker
    /// that has served something.</summary>
    private static readonly int[] WarmUpTokens = [1, 40, 700, 1500];

    private const int RunningPromptTokens = 64;

    public async Task<StallFigures> MeasureAsync(bool stallFree, ILogger logger, CancellationToken cancellationToken)
    {
        var stepTokens = stallFree ? options.StepBudgetTokens : sizes.PromptTokens + sizes.Streams;
        await using var engine = LocalEngine.Create(model, options with
        {
            StepBudgetTokens = stepTokens,
            InterTokenSlo = stallFree ? sizes.Slo : null,
            PrefixCache = false,
        }, time, logger);
        await WarmUpAsync(engine, cancellationToken);

        // Streams go on until the long prompt has its first token; then they are left.
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var epoch = time.GetTimestamp();
        var streams = Enumerable.Range(0, sizes.Streams).Select(_ => new StreamClock(engine, time, epoch)).ToArray();
        var ready = streams.Select(stream => stream.ReachAsync(sizes.TokensBefore)).ToArray();
        var most = engine.MaxContextTokens - RunningPromptTokens;
        var running = streams.Select((stream, i) =>
            FollowAsync(stream, StreamClock.Name("running", i), i, RunningPromptTokens, most, leaving.Token)).ToArray();
        await Task.WhenAll(ready).WaitAsync(cancellationToken);
        var arrived = time.GetElapsedTime(epoch);
        var late = new StreamClock(engine, time, epoch);
        await FollowAsync(late, "long", sizes.Streams, sizes.PromptTokens, 1, cancellationToken);
        var ttft = late.Arrivals[0] - arrived;
        await leaving.CancelAsync();
        await Task.WhenAll(running);
        return Figures(stallFree, stepTokens, streams, arrived, ttft);
    }

    private async Task WarmUpAsync(LocalEngine engine, CancellationToken cancellationToken)
    {
        for (var round = 0; round < 3; round++)
        {
            await Task.WhenAll(WarmUpTokens.Select((tokens, i) => FollowAsync(
                new StreamClock(engine, time, epoch: 0), StreamClock.Name($"warm-up-{round}", i), i,
                Math.Min(tokens, sizes.PromptTokens), 24, cancellationToken)));
        }
    }

    private async Task FollowAsync(
        StreamClock stream, string name, int seed, int promptTokens, int outputTokens, CancellationToken leaving)
    {
        try
        {
            await stream.FollowAsync(
                name, BenchPrompts.Of(seed, promptTokens, model.Config.VocabularySize), outputTokens, leaving);
        }
        catch (OperationCanceledException) when (leaving.IsCancellationRequested)
        {
            return; // left on purpose, or the command was stopped and its caller sees that
        }
    }

    private static StallFigures Figures(
        bool stallFree, int stepTokens, StreamClock[] streams, TimeSpan arrived, TimeSpan ttft)
    {
        var gaps = streams.SelectMany(stream => stream.Arrivals.Zip(stream.Arrivals.Skip(1), (a, b) => new TokenGap(
            (b - arrived).TotalMilliseconds, (b - a).TotalMilliseconds))).OrderBy(gap => gap.AtMs).ToArray();

        // The step that ends the prompt ends some gaps just after its first token was seen.
        var during = gaps.Where(gap => gap.AtMs > 0 && gap.AtMs - gap.GapMs < ttft.TotalMilliseconds).ToArray();
        return new StallFigures
        {
            Batching = stallFree ? "stall-free" : "whole prompt",
            StepTokens = stepTokens,
            P99BeforeMs = P99(gaps.Where(gap => gap.AtMs <= 0)),
            P99DuringMs = P99(during),
            MaxDuringMs = during.Select(gap => gap.GapMs).DefaultIfEmpty().Max(),
            TtftMs = ttft.TotalMilliseconds,
            Gaps = gaps,
        };
    }

    /// <summary>The nearest-rank percentile: a value that was seen.</summary>
    private static double P99(IEnumerable<TokenGap> gaps)
    {
        var sorted = gaps.Select(gap => gap.GapMs).Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[(int)Math.Ceiling(0.99 * sorted.Length) - 1];
    }
}

/// <summary>What <see cref="StallRun"/> plays.</summary>
internal sealed record StallSizes
{
    /// <summary>Running streams.</summary>
    public required int Streams { get; init; }

    /// <summary>Tokens of the prompt that arrives.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Tokens that each stream has before it arrives.</summary>
    public required int TokensBefore { get; init; }

    /// <summary>The step's budget in time.</summary>
    public required TimeSpan Slo { get; init; }
}
