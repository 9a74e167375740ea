using System.CommandLine;
using System.Text.Json;
using Krewe.Models;
using Krewe.Simulation;
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
            terminal, "serving", "The same, and above the engine the whole server over HTTP; or one under a trace.",
            (run, logger, cancellationToken) => run.EngineAsync(serving: true, logger, cancellationToken),
            new LoadSettings()));
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
        Add(new BenchTenantsCommand(terminal));
        Add(new BenchTenantsFloodCommand(terminal));
        Add(new BenchBatchCommand(terminal));
        Add(new BenchGatewayCommand(terminal));
        Add(new BenchSoakCommand(terminal));
        Add(new BenchPromptsCommand(terminal));
        Add(new BenchHitsCommand(terminal));
        Add(new BenchGatewayWorkerCommand());
        Add(new BenchGatewaySourceCommand());
        Add(new BenchGatewayEchoCommand());
        Add(new BenchGrainsCommand(terminal));
    }

    private sealed class LayerCommand : Command
    {
        private readonly BenchSettings _settings = new();

        private readonly Option<string[]> _trace = new("--trace")
        {
            Description = "Load a server with a trace instead: mooncake, azure, pairs or krewe, and its file.",
            HelpName = "FORMAT FILE",
            Arity = new ArgumentArity(2, 2),
            AllowMultipleArgumentsPerToken = true,
            Validators =
            {
                result =>
                {
                    if (result.Tokens.Count == 2) Setting.DemandFile(result, "--trace", result.Tokens[1].Value);
                },
            },
        };

        private readonly LoadSettings? _load;
        private readonly Terminal _terminal;
        private readonly Func<BenchRun, ILogger, CancellationToken, Task<BenchReport>> _measure;

        public LayerCommand(
            Terminal terminal, string name, string description,
            Func<BenchRun, ILogger, CancellationToken, Task<BenchReport>> measure, LoadSettings? load = null)
            : base(name, description)
        {
            (_terminal, _measure, _load) = (terminal, measure, load);
            _settings.AddTo(this);
            if (load is not null) Add(_trace);
            load?.AddTo(this);
            SetAction(RunAsync);
        }

        private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
        {
            if (_load is not null && result.GetValue(_trace) is [var format, var file])
                return await LoadAsync(result, format, file, cancellationToken);
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

        private async Task<int> LoadAsync(
            ParseResult result, string format, string file, CancellationToken cancellationToken)
        {
            if (!Enum.TryParse<TraceFormat>(format, ignoreCase: true, out var known) || known == TraceFormat.ServeGen)
            {
                return _terminal.RefuseUsage(
                    [$"--trace is of '{format}'; it must be mooncake, azure, pairs or krewe."], "bench serving");
            }

            return await _load!.RunAsync(
                result, file, known, () => _settings.ModelFolder(result), _settings.AtOnce(result),
                _settings.WantsJson(result), _terminal, cancellationToken);
        }
    }
}
