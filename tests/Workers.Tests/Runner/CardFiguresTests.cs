using System.IO.Compression;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit.Abstractions;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests.Runner;

/// <summary>
/// The figures of models/tiny/MODEL_CARD.md, which another program measured, against our own engine. The questions are
/// those of the card (tools/tiny-model/questions.py). <c>./krewe test --long</c> asks all of them.
/// </summary>
public sealed class CardFiguresTests(ITestOutputHelper output)
{
    private const int Concurrency = 32;

    // Another arithmetic may turn a close call: two answers of a hundred.
    private const double TolerancePercent = 2.0;

    private static readonly bool IsLong = Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";

    private static readonly ILookup<string, Question> Questions = Read();

    /// <summary>Cell, percent, and whether it is cheap enough for every run.</summary>
    private static readonly (string Cell, double Percent, bool Short)[] Card =
    [
        ("recall 8 128", 100.0, true),
        ("recall 8 256", 100.0, true),
        ("recall 8 512", 98.0, false),
        ("recall 8 768", 100.0, false),
        ("recall 8 1024", 100.0, false),
        ("recall 8 1536", 86.0, false),
        ("recall 16 256", 100.0, true),
        ("recall 16 512", 100.0, true),
        ("recall 16 768", 100.0, false),
        ("recall 16 1024", 100.0, false),
        ("recall 16 1536", 82.0, false),
        ("count 60", 99.3, false),
        ("count 100", 98.0, false),
        ("recall invented 8 384", 72.0, true),
        ("unknown 8 384", 98.0, false),
        ("repeat", 80.0, true),
        ("spell", 46.3, true),
    ];

    public static TheoryData<string, double> Figures
    {
        get
        {
            var data = new TheoryData<string, double>();
            foreach (var row in Card.Where(row => row.Short || IsLong)) data.Add(row.Cell, row.Percent);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Figures))]
    public async Task A_figure_of_the_model_card_comes_out(string cell, double percent)
    {
        var measured = await MeasureAsync([.. Questions[cell]], WorkerDevice.Cpu);
        output.WriteLine($"{cell}: {measured:0.0} %, card {percent:0.0} %");
        Assert.InRange(measured, percent - TolerancePercent, percent + TolerancePercent);
    }

    public static TheoryData<string, double> Sensitive
    {
        get
        {
            var data = new TheoryData<string, double>();
            foreach (var row in Card.Where(row => row.Cell is "spell" or "repeat" || IsLong))
                data.Add(row.Cell, row.Percent);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Sensitive))]
    public async Task INT8_weights_lose_little(string cell, double percent)
    {
        var measured = await MeasureAsync([.. Questions[cell]], WorkerDevice.Cpu, ServedWeights.Int8);
        output.WriteLine($"{cell}: {measured:0.0} % with INT8 weights, card {percent:0.0} %");
        Assert.InRange(measured, percent - TolerancePercent, 100);
    }

    [Fact]
    public async Task The_reference_engine_answers_the_same()
    {
        // Scalar and in double: one of each kind of question in every run, the whole short cells in a long one.
        var questions = Card.Where(row => row.Short)
            .SelectMany(row => Questions[row.Cell].Take(IsLong ? int.MaxValue : 1))
            .ToArray();
        var cpu = await AskAllAsync(questions, WorkerDevice.Cpu);
        var reference = await AskAllAsync(questions, WorkerDevice.Reference);
        var same = cpu.Zip(reference).Count(pair => pair.First == pair.Second);
        output.WriteLine($"{same} of {questions.Length} answers are the same");
        var least = questions.Length * (100 - TolerancePercent) / 100;
        Assert.True(same >= least, $"{same} of {questions.Length} are the same");
    }

    [Fact]
    public async Task A_wrong_answer_counts_as_wrong()
    {
        var right = Questions["recall 8 128"].Take(4).ToArray();
        Assert.Equal(100, await MeasureAsync(right, WorkerDevice.Cpu));
        var wrong = right.Select(q => q with { Answer = q.Answer.Replace("is ", "is 1", StringComparison.Ordinal) });
        Assert.Equal(0, await MeasureAsync([.. wrong], WorkerDevice.Cpu));
    }

    private static async Task<double> MeasureAsync(
        Question[] questions, WorkerDevice device, ServedWeights weights = ServedWeights.Stored)
    {
        var answers = await AskAllAsync(questions, device, weights);
        return 100.0 * answers.Zip(questions).Count(pair => pair.First == pair.Second.Answer) / questions.Length;
    }

    private static async Task<string[]> AskAllAsync(
        Question[] questions, WorkerDevice device, ServedWeights weights = ServedWeights.Stored)
    {
        using var model = TinyModel.Open();
        var options = new WorkerOptions
        {
            WorkerId = "card",
            Role = WorkerRole.Mixed,
            ModelDirectory = TinyModel.Directory,
            Silos = [],
            Device = device,
            Weights = weights,
        };
        await using var engine = LocalEngine.Create(model, options, TimeProvider.System, NullLogger.Instance);
        var answers = new string[questions.Length];
        var places = new ParallelOptions { MaxDegreeOfParallelism = Concurrency };
        await Parallel.ForAsync(0, questions.Length, places, async (i, cancellationToken) =>
            answers[i] = await AskAsync(engine, model, i, questions[i].Text, cancellationToken));
        return answers;
    }

    private static async Task<string> AskAsync(
        LocalEngine engine, ModelFolder model, int index, string question, CancellationToken cancellationToken)
    {
        var start = new StartSequence
        {
            Key = new Abstractions.Wire.SequenceKey { RequestId = $"q{index}", Epoch = 1 },
            Part = SequencePart.Whole,
            Sampling = new SamplingParameters { TopP = 1, RepetitionPenalty = 1 },
            MaxOutputTokens = 500,
        };
        var prompt = model.Tokenizer.Encode(TinyModel.Prompt(question), addSpecialTokens: false);
        start.PromptTokens.AddRange(prompt.Select(token => (uint)token));
        start.StopTokens.AddRange(model.StopTokenIds.Select(token => (uint)token));
        var tokens = new List<int>();
        await foreach (var run in engine.GenerateAsync(start, cancellationToken))
            tokens.AddRange(run.Tokens.Select(token => (int)token));
        return model.Tokenizer.Decode([.. tokens]);
    }

    private static ILookup<string, Question> Read()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "Runner", "Fixtures", "card.jsonl.gz");
        using var lines = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        var questions = new List<Question>();
        while (lines.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            string Text(string name) => json.RootElement.GetProperty(name).GetString()!;
            questions.Add(new Question(Text("cell"), Text("question"), Text("answer")));
        }

        return questions.ToLookup(q => q.Cell);
    }

    private sealed record Question(string Cell, string Text, string Answer);
}
