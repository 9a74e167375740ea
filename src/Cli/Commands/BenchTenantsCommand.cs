using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench tenants</c>: what one tenant's flood does to another.</summary>
internal sealed class BenchTenantsCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of each prompt.", 1024, 1, 1 << 20);

    private readonly UsualOption<int> _outputTokens = Setting.Count(
        "--output-tokens", "Of each answer.", 4, 1, 1 << 20);

    private readonly Option<float?> _use = Setting.OptionalNumber(
        "--use", "Of its share that the quiet tenant uses. Default 0.5.", 0.01f, 1);

    private readonly UsualOption<int> _flood = Setting.Count("--flood", "Times its share that the other sends.", 20, 1);

    private readonly UsualOption<int> _seconds = Setting.Count("--seconds", "Of each run.", 20, 1, 3600);

    private readonly UsualOption<int> _rounds = Setting.Count(
        "--rounds", "Each with one run alone and one beside the flood.", 5, 1, 1000);

    private readonly UsualOption<int> _explain = Setting.Count(
        "--explain", "Of each flooded run tell the lives of the N slowest requests.", 0, 0, 1000);

    private readonly UsualOption<int> _row = Setting.Count(
        "--row-us", "Microseconds that a worker takes for a token instead of computing it; 0 = it computes.", 31, 0,
        1_000_000);

    private readonly Option<bool> _mixed = new("--mixed")
    {
        Description = "One worker for both phases instead of one for each.",
    };

    private readonly UsualOption<int> _stepTokens = Setting.Count(
        "--step-tokens", "Of a worker: how long one prompt's piece holds up the next.", 128, 1);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    private readonly Terminal _terminal;

    public BenchTenantsCommand(Terminal terminal)
        : base("tenants", "A tenant within its share, alone and beside one that floods.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[
            _model, _promptTokens, _outputTokens, _use, _flood, _seconds, _rounds, _explain, _row, _mixed, _stepTokens,
            _json])
            Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var sizes = new TenantBenchSizes(
            _promptTokens.Read(result), _outputTokens.Read(result), result.GetValue(_use) ?? 0.5, _flood.Read(result),
            TimeSpan.FromSeconds(_seconds.Read(result)), _rounds.Read(result), _explain.Read(result),
            [
                .. result.GetValue(_mixed) ? (string[])["--mixed", "1"] : ["--prefill", "1", "--decode", "1"],
                "--threads", "1", "--no-prefix-cache",
                "--step-tokens", _stepTokens.Read(result).ToString(CultureInfo.InvariantCulture),
                .. _row.Read(result) is var us and > 0
                    ? (string[])["--test-row-us", us.ToString(CultureInfo.InvariantCulture)]
                    : [],
            ]);
        var report = await new TenantBench(model, sizes, _terminal, TimeProvider.System).RunAsync(cancellationToken);
        if (result.GetValue(_json))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.TenantBenchReport));
        else
            Print(report);
        return ExitCode.Success;
    }

    private void Print(TenantBenchReport report)
    {
        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.Model}: {report.PromptTokens} + {report.OutputTokens} tokens; capacity {report.Capacity:0.0}/s, "
            + $"share {report.Share:0.0}/s, quiet {report.Rate:0.0}/s, flood {report.FloodRate:0.0}/s"));
        foreach (var (name, figures) in ((string, LoadFigures)[])[("alone", report.Alone),
            ("flooded", report.Flooded), ("the flood itself", report.Flood)])
        {
            _terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-18} {figures.Whole} of {figures.Requests} answered, {figures.Refused} refused; TTFT P50 "
                + $"{figures.TtftP50:0.0} P90 {figures.TtftP90:0.0} P99 {figures.TtftP99:0.0} ms"));
        }

        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"sent late, P99: alone {report.LateAlone:0.0}, flooded {report.LateFlooded:0.0} ms"));
        foreach (var (name, tail) in ((string, PairedTail)[])[("P50", report.TtftP50), ("P90", report.TtftP90),
            ("P99", report.TtftP99)])
            _terminal.Out.WriteLine($"{name} TTFT flooded by alone: {tail.Text}");
    }
}

/// <summary>The flood, a process of its own: until its standard input closes.</summary>
internal sealed class BenchTenantsFloodCommand : Command
{
    private static readonly TimeSpan LongEnough = TimeSpan.FromMinutes(1);

    private readonly Option<string> _url = new("--url") { Required = true };
    private readonly Option<double> _rate = new("--rate") { Required = true };
    private readonly Option<int> _promptTokens = new("--prompt-tokens") { Required = true };
    private readonly Option<int> _outputTokens = new("--output-tokens") { Required = true };
    private readonly Option<int> _vocabulary = new("--vocabulary") { Required = true };

    public BenchTenantsFloodCommand(Terminal terminal)
        : base("tenants-flood", "One tenant's flood.")
    {
        Hidden = true;
        foreach (var option in (Option[])[_url, _rate, _promptTokens, _outputTokens, _vocabulary]) Add(option);
        SetAction(async (result, cancellationToken) =>
        {
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            new Thread(() =>
            {
                while (terminal.In.Read() >= 0) continue;
                over.Cancel();
            })
            { IsBackground = true, Name = "standard input" }.Start();
            using var http = new HttpClient
            {
                BaseAddress = new Uri(result.GetValue(_url)!),
                Timeout = Timeout.InfiniteTimeSpan,
            };
            var load = new OpenLoop(http, TimeProvider.System);
            List<LoadOutcome> outcomes = [];
            for (var seed = 1001; !over.IsCancellationRequested; seed++)
            {
                var plan = LoadPlan.Poisson(
                    result.GetValue(_rate), LongEnough, result.GetValue(_promptTokens), result.GetValue(_outputTokens),
                    result.GetValue(_vocabulary), seed, TenantBench.FloodKey);
                outcomes.AddRange(await load.RunAsync(plan, null, cancellationToken, over.Token));
            }

            terminal.Out.WriteLine(JsonSerializer.Serialize(LoadFigures.Of(outcomes), LoadJson.Default.LoadFigures));
            return ExitCode.Success;
        });
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(TenantBenchReport))]
[JsonSerializable(typeof(LoadFigures))]
[JsonSerializable(typeof(BatchBenchReport))]
[JsonSerializable(typeof(TraceRunReport))]
[JsonSerializable(typeof(GatewayBenchReport))]
[JsonSerializable(typeof(SoakReport))]
[JsonSerializable(typeof(LongPromptReport))]
[JsonSerializable(typeof(HitTimingReport))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class LoadJson : JsonSerializerContext;
