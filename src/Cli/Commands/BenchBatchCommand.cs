using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench batch</c>: the batch lane beside online requests, and its order.</summary>
internal sealed class BenchBatchCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<float?> _rate = Setting.OptionalNumber(
        "--rate", "Online requests a second. Default 8.", 0.01f, 1e6f);

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of each online prompt.", 1024, 1, 1 << 20);

    private readonly UsualOption<int> _outputTokens = Setting.Count(
        "--output-tokens", "Of each answer.", 8, 1, 1 << 20);

    private readonly UsualOption<int> _seconds = Setting.Count("--seconds", "Of each online run.", 15, 1, 3600);

    private readonly UsualOption<int> _rounds = Setting.Count(
        "--rounds", "Each with online runs without a batch, beside one, and without.", 4, 1, 1000);

    private readonly UsualOption<int> _row = Setting.Count(
        "--row-us", "Microseconds that a worker takes for a token beside online requests instead of computing it; "
        + "0 = it computes.", 31, 0, 1_000_000);

    private readonly UsualOption<int> _groups = Setting.Count(
        "--groups", "Shared prefixes; 0 = only online beside a batch.", 24, 0, 10_000);

    private readonly UsualOption<int> _members = Setting.Count("--members", "Requests of each.", 16, 1, 10_000);

    private readonly UsualOption<int> _prefixTokens = Setting.Count(
        "--prefix-tokens", "Tokens of each shared prefix.", 1024, 1, 1 << 20);

    private readonly UsualOption<int> _stepTokens = Setting.Count("--step-tokens", "Of a worker.", 128, 1);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    private readonly Terminal _terminal;

    public BenchBatchCommand(Terminal terminal)
        : base("batch", "The batch lane: online requests beside it, and the order of shared prefixes.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[
            _model, _rate, _promptTokens, _outputTokens, _seconds, _rounds, _row, _groups, _members, _prefixTokens,
            _stepTokens, _json])
            Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        string[] workers =
        [
            "--prefill", "1", "--decode", "1", "--threads", "1",
            "--step-tokens", _stepTokens.Read(result).ToString(CultureInfo.InvariantCulture),
        ];
        var row = _row.Read(result);
        var sizes = new BatchBenchSizes(
            result.GetValue(_rate) ?? 8, _promptTokens.Read(result), _outputTokens.Read(result),
            TimeSpan.FromSeconds(_seconds.Read(result)), _rounds.Read(result), _groups.Read(result),
            _members.Read(result), _prefixTokens.Read(result), SuffixTokens: 32,
            row == 0
                ? [.. workers, "--no-prefix-cache"]
                : [.. workers, "--no-prefix-cache", "--test-row-us", row.ToString(CultureInfo.InvariantCulture)],
            [.. workers, "--kv-memory", "16MiB"]);
        var report = await new BatchBench(model, sizes, _terminal, TimeProvider.System).RunAsync(cancellationToken);
        if (result.GetValue(_json))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.BatchBenchReport));
        else
            Print(report);
        return ExitCode.Success;
    }

    private void Print(BatchBenchReport report)
    {
        foreach (var (name, figures) in ((string, LoadFigures)[])[
            ("online", report.Without), ("beside a batch", report.Beside)])
        {
            _terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-15} {figures.Whole} of {figures.Requests}; TTFT P50 {figures.TtftP50:0.0} P90 "
                + $"{figures.TtftP90:0.0} P99 {figures.TtftP99:0.0} ms, TPOT P50 {figures.TpotP50:0.00} ms"));
        }

        foreach (var (name, tail) in ((string, PairedTail)[])[
            ("P50 beside", report.TtftP50), ("P50 of the control", report.AgainP50), ("P99 beside", report.TtftP99),
            ("P99 of the control", report.AgainP99)])
            _terminal.Out.WriteLine($"online TTFT, {name} by without: {tail.Text}");
        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{report.BatchBesideOnline:0.0} batch requests/s were done meanwhile"));
        if (double.IsNaN(report.OrderGain)) return;
        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"shared prefixes: {report.Ordered:0.0} requests/s in the batch's order, {report.Arrival:0.0} in the "
            + $"file's: {report.OrderGain:0.00}"));
    }
}
