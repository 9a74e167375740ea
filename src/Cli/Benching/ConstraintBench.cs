using System.Diagnostics;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>What constraining outputs costs. Steps of the engine with and without, round by round in turn, and the mask
/// alone.</summary>
/// <param name="Concurrency">Sequences at once.</param>
/// <param name="PlainStepMs">Median decode step of the best round, nothing constrained.</param>
/// <param name="FirstStepMs">The same with a schema that nobody has sent before.</param>
/// <param name="LaterStepMs">The same with a schema that was sent before, other tokens drawn.</param>
/// <param name="FirstRatio">FirstStepMs by PlainStepMs.</param>
/// <param name="LaterRatio">LaterStepMs by PlainStepMs.</param>
internal sealed record ConstraintFigures(
    int Concurrency, double PlainStepMs, double FirstStepMs, double LaterStepMs, double FirstRatio, double LaterRatio);

/// <param name="Name">What is constrained.</param>
/// <param name="CompileMs">From the text to the automaton and the first mask.</param>
/// <param name="FirstMicroseconds">A token's mask and step while nothing is known, mean.</param>
/// <param name="WorstMicroseconds">The slowest one of them.</param>
/// <param name="LaterMicroseconds">The mean when others have gone before.</param>
/// <param name="ShareOfStep">FirstMicroseconds by the plain step of one sequence.</param>
internal sealed record MaskFigures(
    string Name, double CompileMs, double FirstMicroseconds, double WorstMicroseconds, double LaterMicroseconds,
    double ShareOfStep);

/// <param name="VocabularySize">Tokens of the model.</param>
internal sealed record ConstraintReport(
    string Model, int Threads, int VocabularySize, IReadOnlyList<ConstraintFigures> Steps,
    IReadOnlyList<MaskFigures> Masks);

/// <summary>Measures a <see cref="ConstraintReport"/>.</summary>
internal sealed class ConstraintBench(ModelFolder model, BenchSizes sizes, TimeProvider time, ILogger logger)
{
    private const int MaskTokens = 2000;
    private const int LaterPasses = 5;

    /// <summary>Rows that no window outlasts: names of any length, numbers, an enumeration.</summary>
    private const string Rows = """
        {"type":"array","minItems":100,"items":{"type":"object","additionalProperties":false,
        "required":["id","name","kind"],"properties":{"id":{"type":"integer"},"name":{"type":"string"},
        "kind":{"enum":["red","green","blue"]}}}}
        """;

    private static readonly (string Name, ConstraintSpec Spec)[] Masks =
    [
        ("any object", new ConstraintSpec { Kind = ConstraintKind.JsonObject }),
        ("rows of a schema", new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = Rows }),
        ("text of at most 200 characters", new ConstraintSpec
        {
            Kind = ConstraintKind.JsonSchema,
            Text = """{"type":"string","minLength":150,"maxLength":200}""",
        }),
        ("a regular expression", new ConstraintSpec
        {
            Kind = ConstraintKind.Regex,
            Text = "(\\w{3,9} \\d{1,4}, )*end",
        }),
    ];

    public async Task<ConstraintReport> RunAsync(CancellationToken cancellationToken)
    {
        List<ConstraintFigures> steps = [];
        await using (var engine = new EngineLayer(model, sizes, time, logger))
        {
            await engine.MeasureAsync(sizes.Concurrency[0], cancellationToken, Drawing("", 0));
            foreach (var concurrency in sizes.Concurrency)
                steps.Add(await MeasureAsync(engine, concurrency, cancellationToken));
        }

        var one = steps.MinBy(figures => figures.Concurrency)!;
        return new ConstraintReport(
            model.Name, sizes.Threads, model.Config.VocabularySize, steps,
            [.. Masks.Select(mask => Measure(mask.Name, mask.Spec, one.PlainStepMs))]);
    }

    private async Task<ConstraintFigures> MeasureAsync(
        EngineLayer engine, int concurrency, CancellationToken cancellationToken)
    {
        List<double> plain = [], first = [], later = [];
        for (var round = 0; round < sizes.Repeats; round++)
        {
            // Another title makes it another schema.
            var schema = Rows.Insert(1, $"\"title\":\"{concurrency}-{round}\",");
            var constraint = new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = schema }.Write();
            plain.Add(MedianOf(await engine.MeasureAsync(concurrency, cancellationToken, Drawing("", round))));
            first.Add(MedianOf(await engine.MeasureAsync(concurrency, cancellationToken, Drawing(constraint, round))));
            later.Add(MedianOf(
                await engine.MeasureAsync(concurrency, cancellationToken, Drawing(constraint, round + 100))));
        }

        var (none, cold, warm) = (plain.Min(), first.Min(), later.Min());
        return new ConstraintFigures(concurrency, none, cold, warm, cold / none, warm / none);
    }

    private static double MedianOf(BenchRound round) => round.StepMs.Order().ElementAt(round.StepMs.Length / 2);

    private static SamplingParameters Drawing(string constraint, int seed) => new()
    {
        Temperature = 1,
        TopP = 1,
        RepetitionPenalty = 1,
        Seed = (ulong)seed,
        Constraint = constraint,
    };

    /// <summary>Draws allowed tokens at random; only mask and step are timed.</summary>
    private MaskFigures Measure(string name, ConstraintSpec spec, double stepMs)
    {
        var vocabulary = new TokenVocabulary(
            model.Tokenizer, model.Config.VocabularySize, model.StopTokenIds);
        // Once for the compiler.
        Pass(CompiledConstraint.Compile(spec, vocabulary), new Random(1));
        var begun = time.GetTimestamp();
        var constraint = CompiledConstraint.Compile(spec, vocabulary);
        var compileMs = time.GetElapsedTime(begun).TotalMilliseconds;
        var (first, worst) = Pass(constraint, new Random(2));
        var later = Enumerable.Range(3, LaterPasses).Min(seed => Pass(constraint, new Random(seed)).Mean);
        return new MaskFigures(name, compileMs, first, worst, later, first / (stepMs * 1000));
    }

    /// <summary>Microseconds of a token: the mean and the most.</summary>
    private (double Mean, double Most) Pass(CompiledConstraint constraint, Random random)
    {
        var (timed, most, tokens) = (TimeSpan.Zero, TimeSpan.Zero, 0);
        while (tokens < MaskTokens)
        {
            var match = new ConstraintMatch(constraint, [], MaskTokens);
            for (var hasEnded = false; !hasEnded && tokens < MaskTokens; tokens++)
            {
                var begun = time.GetTimestamp();
                var allowed = match.Allowed();
                var taken = time.GetElapsedTime(begun);
                var token = Draw(allowed, random);
                hasEnded = model.StopTokenIds.Contains(token);
                begun = time.GetTimestamp();
                if (!match.TryAdvance(token)) throw new UnreachableException("An allowed token was not taken.");
                taken += time.GetElapsedTime(begun);
                timed += taken;
                if (taken > most) most = taken;
            }
        }

        return (timed.TotalMicroseconds / tokens, most.TotalMicroseconds);
    }

    private static int Draw(ReadOnlySpan<ulong> allowed, Random random)
    {
        const int WordBits = 64;
        var count = 0;
        foreach (var word in allowed) count += System.Numerics.BitOperations.PopCount(word);
        var place = random.Next(count);
        for (var token = 0; ; token++)
        {
            if ((allowed[token / WordBits] >> (token % WordBits) & 1) != 0 && place-- == 0) return token;
        }
    }
}
