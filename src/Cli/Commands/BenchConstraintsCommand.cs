using System.CommandLine;
using System.Text.Json;
using Krewe.Models;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench constraints</c>: what constraining outputs costs beside a decode step.</summary>
internal sealed class BenchConstraintsCommand : Command
{
    private readonly BenchSettings _settings = new();
    private readonly Terminal _terminal;

    public BenchConstraintsCommand(Terminal terminal)
        : base("constraints", "Decode steps with and without a constraint on the output, and the masks alone.")
    {
        _terminal = terminal;
        _settings.AddTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var time = TimeProvider.System;
        using var model = ModelFolder.Open(_settings.ModelFolder(result));
        var sizes = _settings.Read(result);
        sizes.Demand(model.Config);
        using var logs = Logs.Create(result, _terminal, time);
        var bench = new ConstraintBench(model, sizes, time, logs.CreateLogger("Krewe.Engine"));
        var report = await bench.RunAsync(cancellationToken);
        if (_settings.WantsJson(result))
        {
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, BenchJson.Default.ConstraintReport));
            return ExitCode.Success;
        }

        var ansi = _terminal.Ansi();
        ansi.WriteLine($"{report.Model}, {report.VocabularySize} tokens, {report.Threads} threads; median decode step");
        foreach (var step in report.Steps)
        {
            ansi.WriteLine($"{step.Concurrency,3} at once: {step.PlainStepMs:0.000} ms plain, "
                + $"{step.FirstStepMs:0.000} ms with a new schema ({step.FirstRatio:0.000} times), "
                + $"{step.LaterStepMs:0.000} ms with a known one ({step.LaterRatio:0.000} times)");
        }

        foreach (var mask in report.Masks)
        {
            ansi.WriteLine($"{mask.Name}: compiled in {mask.CompileMs:0.0} ms; a token's mask and step take "
                + $"{mask.FirstMicroseconds:0.0} us at first ({mask.ShareOfStep:P2} of a plain step; the slowest "
                + $"{mask.WorstMicroseconds:0} us), {mask.LaterMicroseconds:0.0} us later");
        }

        return ExitCode.Success;
    }
}
