using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Workers;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>
/// Two turns of a conversation: the second sends the first, its answer and some new tokens. How much sooner does its
/// first token come, and are its tokens those of an engine that reused nothing?
/// </summary>
internal sealed class ReuseRun(
    ModelFolder model, WorkerOptions options, int firstTokens, int newTokens, TimeProvider time)
{
    private const int AnswerTokens = 48;

    public async Task<ReuseReport> MeasureAsync(ILogger logger, CancellationToken cancellationToken)
    {
        var (first, second) = await ConverseAsync(prefixCache: true, logger, cancellationToken);
        var (_, plain) = await ConverseAsync(prefixCache: false, logger, cancellationToken);
        return new ReuseReport
        {
            Model = model.Name,
            Threads = options.Threads,
            FirstTurnTokens = firstTokens,
            SecondTurnTokens = firstTokens + AnswerTokens + newTokens,
            FirstTtftMs = Ttft(first),
            SecondTtftMs = Ttft(second),
            Ratio = Ttft(second) / Ttft(first),
            SecondTtftWithoutCacheMs = Ttft(plain),
            SameTokens = second.Tokens.SequenceEqual(plain.Tokens),
        };
    }

    private async Task<(StreamClock First, StreamClock Second)> ConverseAsync(
        bool prefixCache, ILogger logger, CancellationToken cancellationToken)
    {
        await using var engine = LocalEngine.Create(
            model, options with { PrefixCache = prefixCache }, time, logger);
        var warmUp = BenchPrompts.Of(1, firstTokens, model.Config.VocabularySize);
        await TurnAsync(engine, "warm-up", warmUp, cancellationToken);
        var prompt = BenchPrompts.Of(2, firstTokens, model.Config.VocabularySize);
        var first = await TurnAsync(engine, "first", prompt, cancellationToken);
        var more = BenchPrompts.Of(3, newTokens, model.Config.VocabularySize);
        return (first, await TurnAsync(engine, "second", [.. prompt, .. first.Tokens, .. more], cancellationToken));
    }

    private async Task<StreamClock> TurnAsync(
        LocalEngine engine, string name, int[] prompt, CancellationToken cancellationToken)
    {
        var stream = new StreamClock(engine, time, time.GetTimestamp());
        await stream.FollowAsync(name, prompt, AnswerTokens, cancellationToken);
        return stream;
    }

    private static double Ttft(StreamClock stream) => stream.Arrivals[0].TotalMilliseconds;
}
