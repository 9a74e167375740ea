using System.Globalization;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Krewe.Workers;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>Time to first token of one prompt, by where its KV comes from.</summary>
/// <param name="Source">"recompute", "device", "host" or "disk".</param>
/// <param name="TtftMs">Median.</param>
/// <param name="OfRecompute">TtftMs over that of recomputing.</param>
/// <param name="SameTokens">The answer was that of recomputing.</param>
internal sealed record SourceFigures(string Source, double TtftMs, double OfRecompute, bool SameTokens);

/// <summary>What <c>krewe bench ttft --json</c> prints.</summary>
internal sealed record TtftBenchReport(
    string Model, string Numerics, int Threads, int PromptTokens, IReadOnlyList<SourceFigures> Results);

/// <summary>
/// One conversation of which everything but the last tokens was computed before. Between two turns other prompts push
/// it out of the pool, or the engine is closed and opened again over the same disk.
/// </summary>
internal sealed class TtftBench(
    ModelFolder model, WorkerOptions options, int promptTokens, int repeats, TimeProvider time, ILogger logger)
{
    private const int AnswerTokens = 8;
    private const int BlockTokens = 16;

    private readonly int[] _prompt = BenchPrompts.Of(1, promptTokens, model.Config.VocabularySize);
    private int _started;
    private int[]? _expected;

    /// <param name="directory">An empty folder on the disk to measure.</param>
    public async Task<TtftBenchReport> RunAsync(string directory, CancellationToken cancellationToken)
    {
        List<double> recompute = [], device = [], host = [], disk = [];
        var same = true;
        var blockBytes = await BlockBytesAsync();
        var poolBlocks = (promptTokens / BlockTokens) + 16;
        var tiny = options with { KvMemoryBytes = poolBlocks * blockBytes, BlockTokens = BlockTokens };
        for (var i = 0; i < repeats; i++)
        {
            var inHost = tiny with { KvTiers = new KvTierOptions { HostBytes = 4L * poolBlocks * blockBytes } };
            await using (var engine = await LocalEngine.CreateWithTiersAsync(model, inHost, time, logger))
            {
                await MeasureAsync(engine, Other(7), cancellationToken); // warm-up, and evicted by the next
                recompute.Add(await TakeAsync(engine));
                device.Add(await TakeAsync(engine));
                await MeasureAsync(engine, Other(8), cancellationToken);
                host.Add(await TakeAsync(engine));
            }

            var onDisk = tiny with
            {
                KvTiers = new KvTierOptions { DiskDirectories = [directory], DiskBytes = 4L * poolBlocks * blockBytes },
            };
            await using (var engine = await LocalEngine.CreateWithTiersAsync(model, onDisk, time, logger))
            {
                await TakeAsync(engine);
                await engine.DrainAsync();
            }

            await using (var engine = await LocalEngine.CreateWithTiersAsync(model, onDisk, time, logger))
            {
                // A short prompt first: code and threads are warm in every row of the table.
                await MeasureAsync(engine, BenchPrompts.Of(9, 64, model.Config.VocabularySize), cancellationToken);
                disk.Add(await TakeAsync(engine));
            }
        }

        var reference = Median(recompute);
        var rows = new (string Source, List<double> Times)[]
        {
            ("recompute", recompute), ("device", device), ("host", host), ("disk", disk),
        };
        return new TtftBenchReport(
            model.Name, _numerics, options.Threads, promptTokens,
            [.. rows.Select(row => new SourceFigures(
                row.Source, Median(row.Times), Median(row.Times) / reference, same))]);

        async Task<double> TakeAsync(LocalEngine engine)
        {
            var (ttft, tokens) = await MeasureAsync(engine, _prompt, cancellationToken);
            _expected ??= tokens;
            same &= _expected.AsSpan().SequenceEqual(tokens);
            return ttft;
        }
    }

    private string _numerics = "";

    private async Task<long> BlockBytesAsync()
    {
        await using var engine = LocalEngine.Create(model, options with { BlockTokens = BlockTokens }, time, logger);
        _numerics = engine.Numerics.ToString();
        return engine.BlockBytes;
    }

    private int[] Other(int seed) => BenchPrompts.Of(seed, promptTokens, model.Config.VocabularySize);

    private async Task<(double TtftMs, int[] Tokens)> MeasureAsync(
        LocalEngine engine, int[] prompt, CancellationToken cancellationToken)
    {
        var start = new StartSequence
        {
            Key = new Krewe.Abstractions.Wire.SequenceKey
            {
                RequestId = (_started++).ToString(CultureInfo.InvariantCulture),
                Epoch = 1,
            },
            Part = SequencePart.Whole,
            MaxOutputTokens = AnswerTokens,
            IgnoreEos = true,
            Sampling = new SamplingParameters { Temperature = 0, TopP = 1, RepetitionPenalty = 1 },
        };
        start.PromptTokens.AddRange(prompt.Select(token => (uint)token));
        var begun = time.GetTimestamp();
        double? first = null;
        List<int> tokens = [];
        await foreach (var run in engine.GenerateAsync(start, cancellationToken))
        {
            first ??= time.GetElapsedTime(begun).TotalMilliseconds;
            tokens.AddRange(run.Tokens.Select(token => (int)token));
        }

        return (first!.Value, [.. tokens]);
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
