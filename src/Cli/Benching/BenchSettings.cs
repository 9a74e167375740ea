using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The options that <c>krewe bench kernels</c> and <c>krewe bench engine</c> share.</summary>
internal sealed class BenchSettings
{
    private static readonly int[] UsualConcurrency = [1, 8, 32];

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<int?> _threads = Setting.OptionalCount(
        "--threads", "Compute threads. Default: the cores.", 1, 1024);

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of each prompt.", 512, 1, 1 << 20);

    private readonly UsualOption<int> _outputTokens = Setting.Count(
        "--output-tokens", "Tokens of each answer.", 64, 2, 1 << 20);

    private readonly Option<int[]?> _concurrency = new("--concurrency")
    {
        Description = "Sequences at once, one measurement each. Default 1,8,32.",
        HelpName = "N,N,...",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = ParseConcurrency,
    };

    private readonly UsualOption<int> _stepTokens = Setting.Count(
        "--step-tokens", "Most tokens that one step computes.", 512, 1, 1 << 20);

    private readonly Option<KvFormat?> _kvFormat = Setting.OptionalChoice<KvFormat>(
        "--kv-format", "Number format of keys and values. Default: the checkpoint's.");

    private readonly UsualOption<ServedWeights> _weights = Setting.Choice(
        "--weights", "Weights as stored, or rounded to INT8 at load.", ServedWeights.Stored);

    private readonly UsualOption<int> _repeats = Setting.Count(
        "--repeats", "Rounds of each measurement; the best counts.", 3, 1, 1000);

    private readonly UsualOption<int> _sweeps = Setting.Count(
        "--sweeps", "Times that all layers are gone through; the best of all counts.", 1, 1, 100);

    private readonly Option<long?> _readBytes = Setting.OptionalBytes(
        "--read-memory",
        "Buffer of the read-bandwidth loop. Default: as large as the model's matrices; caches help both alike.");

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of a table." };

    private readonly Option<bool> _check = new("--check")
    {
        Description = "End with 1 when a layer is faster than the one below it.",
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_model, _threads, _promptTokens, _outputTokens, _concurrency, _stepTokens,
            _kvFormat, _weights, _repeats, _sweeps, _readBytes, _json, _check])
            command.Add(option);
    }

    public string ModelFolder(ParseResult result) => result.GetValue(_model) ?? BundledModel.Find();

    /// <summary>Most requests at once under a trace; null = as many as are due.</summary>
    public int? AtOnce(ParseResult result) =>
        result.GetValue(_concurrency) is { Length: > 0 } counts ? counts.Max() : null;

    public bool WantsJson(ParseResult result) => result.GetValue(_json);

    public bool WantsCheck(ParseResult result) => result.GetValue(_check);

    public BenchSizes Read(ParseResult result) => new()
    {
        Threads = result.GetValue(_threads) ?? Environment.ProcessorCount,
        PromptTokens = _promptTokens.Read(result),
        OutputTokens = _outputTokens.Read(result),
        // An array that is not given is empty, not null.
        Concurrency = result.GetValue(_concurrency) is { Length: > 0 } counts ? counts : UsualConcurrency,
        StepTokens = _stepTokens.Read(result),
        KvFormat = result.GetValue(_kvFormat),
        Weights = _weights.Read(result),
        Repeats = _repeats.Read(result),
        Sweeps = _sweeps.Read(result),
        ReadBytes = result.GetValue(_readBytes),
    };

    private static int[]? ParseConcurrency(ArgumentResult result)
    {
        List<int> counts = [];
        foreach (var part in result.Tokens[0].Value.Split(','))
        {
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                && count is >= 1 and <= 4096)
                counts.Add(count);
            else
                result.AddError($"--concurrency has '{part}'; it must be numbers from 1 to 4096 like 1,8,32.");
        }

        return [.. counts];
    }
}
