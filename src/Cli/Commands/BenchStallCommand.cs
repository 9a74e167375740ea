using System.CommandLine;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench stall</c>: what a long prompt does to running streams.</summary>
internal sealed class BenchStallCommand : Command
{
    private readonly ScenarioSettings _settings = new();

    private readonly UsualOption<int> _streams = Setting.Count("--streams", "Running streams.", 8, 1, 256);

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of the prompt that arrives.", 4000, 2, 1 << 20);

    private readonly UsualOption<int> _sloItl = Setting.Count(
        "--slo-itl", "The step's budget: longest gap that a prefill may cause, ms.", 100, 1, 3_600_000);

    private readonly Option<string?> _chart = Setting.Text("--chart", "FILE", "Write the gaps there, as SVG.");

    private readonly Terminal _terminal;

    public BenchStallCommand(Terminal terminal)
        : base("stall", "A long prompt arrives among running streams: their gaps, stall-free and not.")
    {
        _terminal = terminal;
        _settings.AddTo(this);
        foreach (var option in (Option[])[_streams, _promptTokens, _sloItl, _chart]) Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var time = TimeProvider.System;
        using var model = ModelFolder.Open(_settings.ModelFolder(result));
        var options = _settings.Read(result, model.Directory);
        var sizes = new StallSizes
        {
            Streams = _streams.Read(result),
            PromptTokens = _promptTokens.Read(result),
            TokensBefore = 32,
            Slo = TimeSpan.FromMilliseconds(_sloItl.Read(result)),
        };
        if (sizes.PromptTokens >= model.Config.MaxPositions)
        {
            return _terminal.RefuseUsage(
                [$"--prompt-tokens is {sizes.PromptTokens}; the model's context is {model.Config.MaxPositions}."],
                "bench stall");
        }

        using var logs = Logs.Create(result, _terminal, time);
        var run = new StallRun(model, options, sizes, time);
        var logger = logs.CreateLogger("Krewe.Engine");
        var stallFree = await run.MeasureAsync(stallFree: true, logger, cancellationToken);
        var report = new StallReport
        {
            Model = model.Name,
            Threads = options.Threads,
            Streams = sizes.Streams,
            PromptTokens = sizes.PromptTokens,
            StepBudgetMs = sizes.Slo.TotalMilliseconds,
            P99ByBudget = stallFree.P99DuringMs / sizes.Slo.TotalMilliseconds,
            StallFree = stallFree,
            WholePrompt = await run.MeasureAsync(stallFree: false, logger, cancellationToken),
        };
        if (result.GetValue(_chart) is { } file)
            await File.WriteAllTextAsync(file, StallChart.Render(report), cancellationToken);
        if (_settings.WantsJson(result))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, ScenarioJson.Default.StallReport));
        else
            Print(report);
        return ExitCode.Success;
    }

    private void Print(StallReport report)
    {
        _terminal.Out.WriteLine(
            $"{report.Model}, {report.Threads} threads: {report.PromptTokens} tokens arrive among {report.Streams} "
            + $"streams; step budget {report.StepBudgetMs:0} ms");
        foreach (var run in (StallFigures[])[report.StallFree, report.WholePrompt])
        {
            _terminal.Out.WriteLine(
                $"{run.Batching}: gap P99 {run.P99DuringMs:0.0} ms (before {run.P99BeforeMs:0.0}), longest "
                + $"{run.MaxDuringMs:0.0} ms; the prompt's first token after {run.TtftMs:0} ms");
        }

        _terminal.Out.WriteLine($"stall-free P99 by the step's budget: {report.P99ByBudget:0.00}");
    }
}
