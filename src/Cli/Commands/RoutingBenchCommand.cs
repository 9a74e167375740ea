using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Control.Routing;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench routing</c>: how long a routing decision takes in a large cell. Needs no model.</summary>
internal sealed class RoutingBenchCommand : Command
{
    private readonly Terminal _terminal;
    private readonly UsualOption<int> _workers = Setting.Count("--workers", "Workers of the cell.", 1000, 2, 8000);
    private readonly UsualOption<int> _blocks = Setting.Count(
        "--blocks", "Blocks of the prefix index.", 10_000_000, 1000, 30_000_000);

    private readonly UsualOption<int> _decisions = Setting.Count("--decisions", "Decisions a policy.", 20_000, 100);
    private readonly Option<string[]?> _policies = NameList.Option(
        "--policy", $"Policies to time: all, or some of {string.Join(", ", RoutingPolicies.Names)}. Default all.",
        RoutingPolicies.Names);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of a table." };

    public RoutingBenchCommand(Terminal terminal)
        : base("routing", "Routing decisions and prefix index updates in a large cell.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_workers, _blocks, _decisions, _policies, _json]) Add(option);
        SetAction((result, cancellationToken) => Task.Run(() => Run(result, cancellationToken), cancellationToken));
    }

    private int Run(ParseResult result, CancellationToken cancellationToken)
    {
        var names = result.GetValue(_policies) is { Length: > 0 } named ? named : [.. RoutingPolicies.Names];
        var bench = new RoutingBench(
            TimeProvider.System, _workers.Read(result), _blocks.Read(result), _decisions.Read(result));
        var report = bench.Run(names, cancellationToken);
        if (result.GetValue(_json))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, RoutingJson.Default.RoutingReport));
        else
            Print(report);
        return ExitCode.Success;
    }

    private void Print(RoutingReport report)
    {
        var ansi = _terminal.Ansi();
        ansi.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.Workers} workers, {report.Blocks:N0} blocks ({report.Residencies:N0} on workers), "
            + $"{report.BytesPerBlock:0.0} bytes a block; prompts of {report.PromptBlocks:0} blocks"));
        ansi.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"updates/s on one thread: {report.FillPerSecond:N0} filling, {report.UpdatesPerSecond:N0} full; "
            + $"a plain dictionary {report.DictionaryUpdatesPerSecond:N0}"));
        var table = new Table().AddColumns("policy", "P50 us", "P99 us", "max us", "allocated B");
        foreach (var row in report.Policies)
            table.AddRow(row.Policy, Us(row.P50Us), Us(row.P99Us), Us(row.MaxUs), Us(row.AllocatedBytes));
        ansi.Write(table);
    }

    private static string Us(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);
}
