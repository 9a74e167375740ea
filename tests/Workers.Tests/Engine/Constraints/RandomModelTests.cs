using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Krewe.Models.Tests.Constraints;
using Krewe.Workers.Tests.Runner;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit.Abstractions;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>
/// A model of random weights, whole engine, writes what it is told to: every schema of the test set, calls of functions
/// and regular expressions. <c>./krewe test --long</c> asks for a thousand of each.
/// </summary>
public sealed class RandomModelTests(ITestOutputHelper output) : IDisposable
{
    private const int OutputMax = 300;
    private const int Concurrency = 32;
    private const int EndToken = 1020;

    private static readonly string[] Patterns =
    [
        "[0-9]{4}-[0-9]{2}", "(yes|no|maybe)", "[A-Z][a-z]{2,10}", "#[0-9a-f]{6}", "\\+?[0-9 ]{5,12}", "a*b*c*d",
        "\\w+@\\w+\\.(com|org)", "([01][0-9]|2[0-3]):[0-5][0-9]", "\"[^\"]{0,20}\"", ".{5,9}", "\\d+(\\.\\d{1,2})?",
        "(ab|cd){3}", "[\u00e4\u00f6\u00fc\u00df]+!", "[\u4e00-\u9fff]{2,4}", "x(y(z)?)?", "-?[1-9][0-9]{0,8}",
        "(GET|POST) /[a-z/]{0,15} HTTP/1\\.[01]", "\\[[0-9]+(, [0-9]+){0,4}\\]", "[^a-z]{3}", "\\S{1,8}\\s\\S{1,8}",
    ];

    private static int Times => Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1" ? 10 : 1;

    private readonly RandomCheckpoint _checkpoint = new("LlamaForCausalLM", "F32");

    public void Dispose() => _checkpoint.Dispose();

    [Fact]
    public Task Every_output_is_valid_against_its_schema() => AskAsync(
        Repeat(SchemaCase.All).Select(schema => (
            new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = schema.Text },
            (Func<string, string?>)schema.Refute)));

    [Fact]
    public Task Every_call_is_whole_and_its_arguments_valid() => AskAsync(
        Repeat(SchemaCase.All.Where(schema => !schema.Text.Contains("$ref", StringComparison.Ordinal)).ToArray())
            .Select(schema => (CallOf(schema), (Func<string, string?>)(text => RefuteCall(schema, text)))));

    [Fact]
    public Task Every_text_matches_its_regular_expression() => AskAsync(
        Repeat([.. Patterns.SelectMany(pattern => Enumerable.Repeat(pattern, 5))]).Select(pattern => (
            new ConstraintSpec { Kind = ConstraintKind.Regex, Text = pattern },
            (Func<string, string?>)(text =>
                Regex.IsMatch(text, $"^(?:{pattern})\\z", RegexOptions.ECMAScript) || IsWide(pattern, text)
                    ? null
                    : $"{pattern} does not match {text}"))));

    [Fact]
    public async Task Without_a_constraint_next_to_none_is()
    {
        // The positive control: the same model and the same checker.
        using var model = _checkpoint.Open();
        await using var engine = Create(model);
        var texts = await Task.WhenAll(SchemaCase.All.Select(
            (_, i) => WriteAsync(engine, model, constraint: "", i)));

        var right = SchemaCase.All.Zip(texts).Count(pair => pair.First.Refute(pair.Second.Text) is null);

        Assert.True(right < 3, $"{right} of 100 outputs are valid by chance.");
    }

    private static IEnumerable<T> Repeat<T>(IReadOnlyList<T> items) =>
        Enumerable.Range(0, Times).SelectMany(_ => items);

    /// <summary>.NET's ECMAScript mode knows no wide characters in its classes.</summary>
    private static bool IsWide(string pattern, string text) =>
        text.Any(c => c > 127) && Regex.IsMatch(
            string.Concat(text.EnumerateRunes().Select(rune => rune.Value > 0xFFFF ? "~" : rune.ToString())),
            $"^(?:{pattern})\\z");

    private async Task AskAsync(IEnumerable<(ConstraintSpec Spec, Func<string, string?> Refute)> asked)
    {
        using var model = _checkpoint.Open();
        await using var engine = Create(model);
        var requests = asked.ToArray();
        var complaints = new string?[requests.Length];
        await Parallel.ForEachAsync(
            Enumerable.Range(0, requests.Length), new ParallelOptions { MaxDegreeOfParallelism = Concurrency },
            async (i, _) =>
            {
                var (text, finish) = await WriteAsync(engine, model, requests[i].Spec.Write(), i);
                complaints[i] = finish == FinishReason.Stop
                    ? requests[i].Refute(text)
                    : $"{requests[i].Spec.Text} did not end: {text}";
            });

        output.WriteLine($"{complaints.Count(complaint => complaint is null)} of {requests.Length} outputs are valid");
        Assert.Empty(complaints.OfType<string>());
    }

    private static LocalEngine Create(ModelFolder model) => LocalEngine.Create(
        model,
        new WorkerOptions
        {
            WorkerId = "random",
            Role = WorkerRole.Mixed,
            ModelDirectory = model.Directory,
            Silos = [],
            KvMemoryBytes = 64L << 20,
        },
        TimeProvider.System, NullLogger.Instance);

    private static async Task<(string Text, FinishReason Finish)> WriteAsync(
        LocalEngine engine, ModelFolder model, string constraint, int seed)
    {
        var start = new StartSequence
        {
            Key = new Krewe.Abstractions.Wire.SequenceKey
            {
                RequestId = seed.ToString(CultureInfo.InvariantCulture),
                Epoch = 1,
            },
            Part = SequencePart.Whole,
            MaxOutputTokens = OutputMax,
            Sampling = new SamplingParameters
            {
                Temperature = 1,
                TopP = 1,
                RepetitionPenalty = 1,
                Seed = (ulong)seed,
                Constraint = constraint,
            },
        };
        start.PromptTokens.Add([1, 2, 3]);
        List<byte> bytes = [];
        var finish = FinishReason.Unspecified;
        await foreach (var run in engine.GenerateAsync(start, CancellationToken.None))
        {
            foreach (var token in run.Tokens)
            {
                if (token != EndToken) bytes.AddRange(model.Tokenizer.TokenBytes((int)token));
            }

            finish = run.Finish;
        }

        return (Encoding.UTF8.GetString([.. bytes]), finish);
    }

    private static ConstraintSpec CallOf(SchemaCase schema) => new()
    {
        Kind = ConstraintKind.Tools,
        Tools = new ToolSpec(
            [
                new ToolFunction("other", null),
                new ToolFunction("take", $$"""
                    {"type":"object","required":["value"],"properties":{"value":{{schema.Text}}},
                    "additionalProperties":false}
                    """),
            ],
            ToolStyle.Tagged, MayAnswer: false, MayCallSeveral: false, Answer: null),
    };

    private static string? RefuteCall(SchemaCase schema, string text)
    {
        const string Begin = "<tool_call>\n", End = "\n</tool_call>";
        if (!text.StartsWith(Begin, StringComparison.Ordinal) || !text.EndsWith(End, StringComparison.Ordinal))
            return $"no call: {text}";
        using var call = JsonDocument.Parse(text[Begin.Length..^End.Length]);
        var arguments = call.RootElement.GetProperty("arguments");
        return call.RootElement.GetProperty("name").GetString() == "other"
            ? null
            : schema.Refute(arguments.GetProperty("value").GetRawText());
    }
}
