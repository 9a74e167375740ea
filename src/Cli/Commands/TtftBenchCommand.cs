using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench ttft</c>: time to first token by where a known prefix's KV comes from.</summary>
internal sealed class TtftBenchCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<int?> _threads = Setting.OptionalCount(
        "--threads", "Compute threads. Default: the cores.", 1, 1024);

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of the prompt.", 512, 64, 1 << 20);

    private readonly UsualOption<int> _repeats = Setting.Count("--repeats", "Rounds; the median counts.", 3, 1, 100);

    private readonly Option<string?> _directory = Setting.Text(
        "--dir", "DIR", "Folder on the disk to measure. Default: the current folder.");

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of a table." };
    private readonly Terminal _terminal;

    public TtftBenchCommand(Terminal terminal)
        : base("ttft", "Time to first token of a known prompt: computed again, or restored from host memory or disk.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_model, _threads, _promptTokens, _repeats, _directory, _json]) Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var folder = result.GetValue(_model) ?? BundledModel.Find();
        using var model = ModelFolder.Open(folder);
        var options = new WorkerOptions
        {
            WorkerId = "bench",
            Role = WorkerRole.Mixed,
            ModelDirectory = folder,
            Silos = [],
            Threads = result.GetValue(_threads) ?? Environment.ProcessorCount,
        };
        using var logs = Logs.Create(result, _terminal, TimeProvider.System);
        var directory = Path.Combine(
            result.GetValue(_directory) ?? Directory.GetCurrentDirectory(), $"bench-ttft-{Environment.ProcessId}");
        Directory.CreateDirectory(directory);
        try
        {
            var bench = new TtftBench(
                model, options, _promptTokens.Read(result), _repeats.Read(result), TimeProvider.System,
                logs.CreateLogger("Krewe.Engine"));
            var report = await bench.RunAsync(directory, cancellationToken);
            if (result.GetValue(_json))
                _terminal.Out.WriteLine(JsonSerializer.Serialize(report, TierBenchJson.Default.TtftBenchReport));
            else
                Print(report);
            return ExitCode.Success;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private void Print(TtftBenchReport report)
    {
        var ansi = _terminal.Ansi();
        ansi.WriteLine(
            $"{report.Model}: {report.Numerics}, {report.Threads} threads, {report.PromptTokens} prompt tokens");
        var table = new Table().AddColumns("KV from", "TTFT ms", "of recomputing", "same tokens");
        foreach (var row in report.Results)
        {
            table.AddRow(
                row.Source, row.TtftMs.ToString("0.0", CultureInfo.InvariantCulture),
                row.OfRecompute.ToString("P1", CultureInfo.InvariantCulture), row.SameTokens ? "yes" : "NO");
        }

        ansi.Write(table);
    }
}
