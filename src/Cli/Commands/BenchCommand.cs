using System.CommandLine;
using System.Text.Json;
using Krewe.Models;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary><c>krewe bench</c>: how fast this machine runs a model, layer by layer, beside what it could do.</summary>
internal sealed class BenchCommand : Command
{
    public BenchCommand(Terminal terminal)
        : base("bench", "Measure kernels, engine, server and tokenizer beside the limits, and play scenarios.")
    {
        Add(new LayerCommand(
            terminal, "kernels", "The matrix products alone: whole steps, and each kind of matrix.",
            (run, _, cancellationToken) => run.KernelsAsync(cancellationToken)));
        Add(new LayerCommand(
            terminal, "engine", "The same steps in kernels, model runner and engine.",
            (run, logger, cancellationToken) => run.EngineAsync(serving: false, logger, cancellationToken)));
        Add(new LayerCommand(
            terminal, "serving", "The same, and above the engine the whole server over HTTP.",
            (run, logger, cancellationToken) => run.EngineAsync(serving: true, logger, cancellationToken)));
        Add(new BenchTokenizerCommand(terminal));
        Add(new BenchConstraintsCommand(terminal));
        Add(new BenchStallCommand(terminal));
        Add(new BenchReuseCommand(terminal));
        Add(new BenchPrefixCommand(terminal));
        Add(new BenchMigrateCommand(terminal));
        Add(new BenchHandoffCommand(terminal));
        Add(new BenchHandoffSourceCommand(terminal));
        Add(new StoreBenchCommand(terminal));
        Add(new TtftBenchCommand(terminal));
        Add(new RoutingBenchCommand(terminal));
        Add(new BenchGrainsCommand(terminal));
    }

    private sealed class LayerCommand : Command
    {
        private readonly BenchSettings _settings = new();
        private readonly Terminal _terminal;
        private readonly Func<BenchRun, ILogger, CancellationToken, Task<BenchReport>> _measure;

        public LayerCommand(
            Terminal terminal, string name, string description,
            Func<BenchRun, ILogger, CancellationToken, Task<BenchReport>> measure)
            : base(name, description)
        {
            (_terminal, _measure) = (terminal, measure);
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
            var run = new BenchRun(model, sizes, time);
            var report = await _measure(run, logs.CreateLogger("Krewe.Engine"), cancellationToken);
            if (_settings.WantsJson(result))
                _terminal.Out.WriteLine(JsonSerializer.Serialize(report, BenchJson.Default.BenchReport));
            else
                BenchTable.Print(report, _terminal);
            if (!_settings.WantsCheck(result) || report.Order.All(chain => chain.Holds)) return ExitCode.Success;
            _terminal.Say(
                "a layer is faster than the one below it: the machine was not at rest; run again, or with more "
                + "--repeats.");
            return ExitCode.Failure;
        }
    }
}
