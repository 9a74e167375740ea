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

    private readonly UsualOption<int> _seconds = Setting.Count("--seconds", "Of each of the three runs.", 40, 1, 3600);

    private readonly UsualOption<int> _stepTokens = Setting.Count(
        "--step-tokens", "Of a worker: how long one prompt's piece holds up the next.", 128, 1);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    private readonly Terminal _terminal;

    public BenchTenantsCommand(Terminal terminal)
        : base("tenants", "A tenant within its share, alone and beside one that floods.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[
            _model, _promptTokens, _outputTokens, _use, _flood, _seconds, _stepTokens, _json])
            Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var sizes = new TenantBenchSizes(
            _promptTokens.Read(result), _outputTokens.Read(result), result.GetValue(_use) ?? 0.5, _flood.Read(result),
            TimeSpan.FromSeconds(_seconds.Read(result)),
            [
                "--prefill", "1", "--decode", "1", "--threads", "1",
                "--step-tokens", _stepTokens.Read(result).ToString(CultureInfo.InvariantCulture),
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
        foreach (var (name, figures) in ((string, LoadFigures)[])[("alone", report.AloneBefore),
            ("flooded", report.Flooded), ("alone again", report.AloneAfter), ("the flood itself", report.Flood)])
        {
            _terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-18} {figures.Whole} of {figures.Requests} answered, {figures.Refused} refused; TTFT P50 "
                + $"{figures.TtftP50:0.0} P90 {figures.TtftP90:0.0} P99 {figures.TtftP99:0.0} ms"));
        }

        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"P99 TTFT flooded by alone: {report.TtftP99Ratio:0.00}"));
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(TenantBenchReport))]
[JsonSerializable(typeof(BatchBenchReport))]
[JsonSerializable(typeof(TraceRunReport))]
[JsonSerializable(typeof(GatewayBenchReport))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class LoadJson : JsonSerializerContext;
