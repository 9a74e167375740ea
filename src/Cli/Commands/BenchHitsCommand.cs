using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench hits</c>: what a tenant learns of another's prompts by the time of its answers.</summary>
internal sealed class BenchHitsCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of each prompt.", 1024, 32, 1 << 20);

    private readonly UsualOption<int> _rounds = Setting.Count("--rounds", "Prompts of each kind.", 100, 10, 100_000);
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };
    private readonly Terminal _terminal;

    public BenchHitsCommand(Terminal terminal)
        : base("hits", "Whether a tenant can tell by an answer's time that another sent the prompt; 1 when it can.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_model, _promptTokens, _rounds, _json]) Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var report = await new HitTimingBench(
            model, _promptTokens.Read(result), _rounds.Read(result), _terminal, TimeProvider.System)
            .RunAsync(cancellationToken);
        if (result.GetValue(_json))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.HitTimingReport));
        else
            Print(report);
        return report is { FindsNoTrace: true, ControlsHold: true } ? ExitCode.Success : ExitCode.Failure;
    }

    private void Print(HitTimingReport report)
    {
        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.Model}, {report.PromptTokens} tokens, {report.Rounds} prompts of each kind; a new one takes "
            + $"{report.NewMedian:0.0} ms (median)"));
        foreach (var (name, timing) in ((string, HitTiming)[])[
            ("another tenant sent it", report.Others), ("sent before (control)", report.Own),
            ("by one that shares (control)", report.Shared)])
        {
            _terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-28} {timing.Median,6:0.0} ms, faster than a new one {timing.FasterThanNew:0.000}, "
                + $"{timing.Cached} tokens called cached"));
        }

        _terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{(report.FindsNoTrace ? "no trace" : "A TRACE")} (0.5 within {report.Noise:0.000} is chance); controls "
            + $"{(report.ControlsHold ? "hold" : "DO NOT HOLD: nothing was shown")}"));
    }
}
