using System.CommandLine;
using System.Globalization;
using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>
/// The options that <c>krewe simulate</c> and <c>krewe plan</c> share: workload, hardware and limits.
/// </summary>
internal sealed class SimulateOptions
{
    private const double HighestRate = 1e6;

    private readonly Option<string?> _trace = Setting.InputFile(
        "--trace", "FILE", "The workload; may be gzipped.");

    private readonly UsualOption<TraceFormat> _format = Setting.Choice(
        "--format", "How to read it.", TraceFormat.Krewe);

    private readonly Option<string?> _lengths = Setting.InputFile(
        "--lengths", "FILE", "ServeGen's client lengths, beside --trace client rates.");

    private readonly Option<float?> _fromHour = Setting.OptionalNumber(
        "--from-hour", "First hour of a ServeGen recording. Default 0.", 0, 10_000);

    private readonly Option<float?> _hours = Setting.OptionalNumber(
        "--hours", "Hours of a ServeGen recording. Default 1.", 0.01f, 10_000);

    private readonly Option<float?> _rate = Setting.OptionalNumber(
        "--rate", "Requests a second for --format pairs. Default 1.", 1e-6f, 1e6f);

    private readonly Option<float?> _cv = Setting.OptionalNumber(
        "--cv", "Variation of arrival gaps for --format pairs: 1 = Poisson, more = bursts. Default 1.", 0, 100);

    private readonly Option<int?> _requests = Setting.OptionalCount(
        "--requests", "Only the first N requests; with --format pairs: how many to draw. Default 2000 there.", 1);

    private readonly Option<string?> _model = Setting.OneOf(
        "--model", "NAME", $"One of {string.Join(", ", ModelShape.All.Select(m => m.Name))}. Default llama-3.1-8b.",
        ModelShape.All.Select(m => m.Name));

    private readonly Option<string?> _gpu = Setting.OneOf(
        "--gpu", "NAME", $"One of {string.Join(", ", GpuShape.All.Select(g => g.Name))}. Default h100.",
        GpuShape.All.Select(g => g.Name));

    private readonly UsualOption<int> _tp = Setting.Count("--tp", "GPUs a worker (tensor parallel).", 1, 1, 64);
    private readonly Option<string?> _weights = Setting.OneOf(
        "--weights", "bf16|fp8", "Weight format. Default bf16.", "bf16", "fp8");

    private readonly UsualOption<TimeSpan> _ttft = Setting.Seconds(
        "--slo-ttft", "Limit for the time to first token.", TimeSpan.FromSeconds(2));

    private readonly UsualOption<TimeSpan> _tpot = Setting.Seconds(
        "--slo-tpot", "Limit for the mean time per further token.", TimeSpan.FromSeconds(0.05));

    private readonly UsualOption<int> _seed = Setting.Count("--seed", "Everything drawn follows from it.", 1, 0);

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_trace, _format, _lengths, _fromHour, _hours, _rate, _cv, _requests, _model,
            _gpu, _tp, _weights, _ttft, _tpot, _seed])
            command.Add(option);
    }

    /// <summary>What is wrong with the workload's options together; null when nothing is. The trace is not Required to
    /// the parser, which would then say nothing else.</summary>
    public string? Mistake(ParseResult result)
    {
        if (result.GetValue(_trace) is null) return "Which workload? Give --trace FILE, and its --format.";
        return _format.Read(result) == TraceFormat.ServeGen && result.GetValue(_lengths) is null
            ? "--format servegen needs --lengths FILE beside --trace FILE."
            : null;
    }

    public ulong Seed(ParseResult result) => (ulong)_seed.Read(result);

    public bool HasTrace(ParseResult result) => result.GetValue(_trace) is not null;

    public ServiceLevel Slo(ParseResult result) =>
        new(_ttft.Read(result).TotalSeconds, _tpot.Read(result).TotalSeconds);

    public Deployment Deployment(ParseResult result) => new()
    {
        Model = ModelShape.Find(result.GetValue(_model) ?? "llama-3.1-8b"),
        Gpu = GpuShape.Find(result.GetValue(_gpu) ?? "h100"),
        TensorParallel = _tp.Read(result),
        WeightBytes = result.GetValue(_weights) == "fp8" ? 1 : 2,
    };

    /// <summary>The workload at its own rate.</summary>
    public Trace Trace(ParseResult result)
    {
        var path = result.GetValue(_trace)!;
        var seed = Seed(result);
        var format = _format.Read(result);
        var requests = result.GetValue(_requests);
        if (format == TraceFormat.Pairs)
        {
            return Arrivals.Draw(
                TraceReader.Read(path, format, seed), result.GetValue(_rate) ?? 1, result.GetValue(_cv) ?? 1,
                requests ?? 2000, seed);
        }

        var trace = format == TraceFormat.ServeGen
            ? ServeGenTrace.Generate(
                path, result.GetValue(_lengths)!, 3600 * (result.GetValue(_fromHour) ?? 0),
                3600 * (result.GetValue(_hours) ?? 1), 1, seed)
            : TraceReader.Read(path, format, seed);
        return requests is { } count ? trace.Take(count) : trace;
    }

    /// <summary>"0.5,1,2" as numbers.</summary>
    public static Option<double[]?> Rates(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "X[,X...]",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            var rates = new List<double>();
            foreach (var part in text.Split(','))
            {
                if (double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var rate)
                    && rate is > 0 and <= HighestRate)
                    rates.Add(rate);
            }

            if (rates.Count != text.Split(',').Length)
                result.AddError($"{name} is '{text}'; it must be one or more positive numbers, like 0.5,1,2.");
            return [.. rates];
        },
    };
}
