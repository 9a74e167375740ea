using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Krewe.Cli.Watching;

/// <summary>One screen of <c>krewe top</c>: the silo in three lines, its workers in a table.</summary>
internal static class TopScreen
{
    private const int BarCells = 10;

    /// <summary>Columns of the terminal below which tiers, migrations and steps are left out, and the KV bar.</summary>
    private const int WideColumns = 118;

    /// <param name="state">The silo now.</param>
    /// <param name="history">Its newest snapshots; the last one is shown.</param>
    /// <param name="before">The state of the last screen, for workers' rates; null for the first.</param>
    /// <param name="seconds">What passed since.</param>
    /// <param name="columns">The terminal's width.</param>
    public static IRenderable Of(TopState state, TopHistory history, TopState? before, double seconds, int columns)
    {
        double? Now(string name) => history.Series.TryGetValue(name, out var column) ? column.LastOrDefault() : null;
        var head = new Markup(
            $"[bold]krewe[/] {Markup.Escape(state.Model)} on {Markup.Escape(state.SiloId)} {state.Version}, "
            + $"grains {state.GrainHost}, up {Duration(state.UptimeSeconds)}"
            + (state.Draining ? " [yellow]draining[/]" : ""));
        var figures = new Grid().AddColumns(4);
        figures.AddRow(
            $"goodput [bold]{Rate(Now("good"))}[/] req/s", Limited("TTFT p95", Now("ttft_p95"), state.TtftSloMs),
            Limited("ITL p99", Now("itl_p99"), state.TpotSloMs),
            $"queue {Alarmed(state.Queued, 10)} of {state.Inside}");
        figures.AddRow(
            $"output [bold]{Rate(Now("output_tokens"))}[/] tok/s", $"prompt {Rate(Now("prompt_tokens"))} tok/s",
            $"refused {Alarmed(Now("refused") ?? 0, 0)}/s", $"failed {Alarmed(Now("failed") ?? 0, 0)}/s");
        return new Rows(head, new Text(""), figures, Workers(state, before, seconds, columns >= WideColumns));
    }

    private static Table Workers(TopState state, TopState? before, double seconds, bool isWide)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("worker");
        table.AddColumn("role");
        table.AddColumn("state");
        foreach (var name in (string[])["run", "wait", "prefill/s", "decode/s"])
            table.AddColumn(new TableColumn(name).RightAligned());
        if (!isWide) table.AddColumn(new TableColumn("KV held").RightAligned());
        else AddWide(table);
        foreach (var (wish, worker) in state.Workers)
        {
            var load = worker.Load;
            var last = before?.Workers.FirstOrDefault(one => one.Worker.Id == worker.Id)?.Worker.Load;
            double? Gain(Func<TopLoad, ulong> read) => load is null || last is null || read(load) < read(last)
                ? null
                : (read(load) - read(last)) / seconds;
            string[] narrow =
            [
                Markup.Escape(worker.Id), worker.Role, State(wish, worker.State), $"{load?.RunningSequences}",
                $"{load?.WaitingSequences}", Rate(Gain(one => one.PrefillTokens)), Rate(Gain(one => one.DecodeTokens)),
            ];
            table.AddRow([.. narrow, .. isWide ? Wide(load) : [Held(load)]]);
        }

        if (state.Workers.Count == 0) table.AddRow("[yellow]none is linked[/]");
        return table;
    }

    private static void AddWide(Table table)
    {
        table.AddColumn(new TableColumn("step").RightAligned());
        table.AddColumn("KV held, cached");
        foreach (var name in (string[])["host", "disk", "in/out"])
            table.AddColumn(new TableColumn(name).RightAligned());
    }

    private static string[] Wide(TopLoad? load) =>
    [
        load is null ? "-" : Ms(load.StepMs), Kv(load), Share(load?.Tiers?.HostBlocks, load?.Tiers?.HostCapacity),
        Share(load?.Tiers?.DiskBlocks, load?.Tiers?.DiskCapacity), $"{load?.MigratedIn}/{load?.MigratedOut}",
    ];

    private static string Held(TopLoad? load) => load is { TotalBlocks: > 0 }
        ? string.Create(CultureInfo.InvariantCulture, $"{100.0 * load.PinnedBlocks / load.TotalBlocks:0} %")
        : "-";

    private static string State(string wish, string state) => wish switch
    {
        "cordon" => "[yellow]cordoned[/]",
        "drain" => "[yellow]draining[/]",
        _ => state == "ready" ? "[green]ready[/]" : $"[yellow]{Markup.Escape(state)}[/]",
    };

    private static string Kv(TopLoad? load)
    {
        if (load is not { TotalBlocks: > 0 }) return "-";
        var held = (double)load.PinnedBlocks / load.TotalBlocks;
        var used = held + ((double)load.EvictableBlocks / load.TotalBlocks);
        var (full, light) = ((int)Math.Round(held * BarCells), (int)Math.Round(used * BarCells));
        return $"[teal]{new string('█', full)}{new string('▒', light - full)}[/]{new string('·', BarCells - light)} "
            + string.Create(CultureInfo.InvariantCulture, $"{held * 100,3:0} %");
    }

    private static string Limited(string name, double? ms, double? limit) => (ms, limit) switch
    {
        (null, _) => $"{name} -",
        ({ } value, { } most) => $"{name} [{(value > most ? "red" : "green")}]{Ms(value)}[/] of {Ms(most)}",
        ({ } value, null) => $"{name} [bold]{Ms(value)}[/]",
    };

    private static string Alarmed(double value, double most)
    {
        var text = value.ToString("0.#", CultureInfo.InvariantCulture);
        return value > most ? $"[red]{text}[/]" : text;
    }

    private static string Share(uint? part, uint? whole) => whole is > 0 and var all
        ? string.Create(CultureInfo.InvariantCulture, $"{100.0 * part!.Value / all:0} %")
        : "-";

    private static string Rate(double? value) => value switch
    {
        null => "-",
        >= 10_000 => string.Create(CultureInfo.InvariantCulture, $"{value / 1000:0.0}k"),
        >= 10 => string.Create(CultureInfo.InvariantCulture, $"{value:0}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{value:0.0}"),
    };

    private static string Ms(double value) => value switch
    {
        >= 1000 => string.Create(CultureInfo.InvariantCulture, $"{value / 1000:0.00} s"),
        >= 10 => string.Create(CultureInfo.InvariantCulture, $"{value:0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{value:0.0} ms"),
    };

    private static string Duration(double seconds) => seconds switch
    {
        < 90 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0} s"),
        < 5400 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0.0} h"),
    };
}
