using System.Globalization;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>Simulated runs for people.</summary>
internal static class SimulateTable
{
    public static string Describe(CellOptions options, Trace trace)
    {
        var d = options.Deployment;
        var capacity = options.CapacityTokens ?? d.CapacityTokens();
        return string.Create(CultureInfo.InvariantCulture,
            $"{trace.Name}: {trace.Count} requests over {trace.SpanSeconds:0} s, prompts of "
            + $"{trace.MeanPromptTokens:0}, "
            + $"outputs of {trace.MeanOutputTokens:0} tokens in the mean; {d.Model.Name} on {options.Workers} workers "
            + $"of {d.Gpus} x {d.Gpu.Name} ({options.PrefillWorkers} + {options.DecodeWorkers}, "
            + $"{Setting.Name(options.Mode)}), {capacity} KV tokens each; SLO TTFT {options.Slo.TtftSeconds} s, TPOT "
            + $"{options.Slo.TpotSeconds} s.");
    }

    public static void Print(IReadOnlyList<SimulatedRun> runs, Terminal terminal)
    {
        var table = new Table().AddColumns(
            "policy", "rate/s", "attained", "goodput/s", "per GPU", "TTFT p50", "p90", "p99 ms", "TPOT p50", "p90",
            "p99 ms", "hits", "refused", "preempted", "busy P/D", "run s");
        foreach (var run in runs)
        {
            var r = run.Report;
            table.AddRow(
                r.Policy, Text($"{r.RatePerSecond:0.###}"), Text($"{100 * r.Attainment:0.0} %"),
                Text($"{r.Goodput:0.000}"), Text($"{r.GoodputPerGpu:0.0000}"), Text($"{r.TtftMs.P50:0}"),
                Text($"{r.TtftMs.P90:0}"), Text($"{r.TtftMs.P99:0}"), Text($"{r.TpotMs.P50:0.0}"),
                Text($"{r.TpotMs.P90:0.0}"), Text($"{r.TpotMs.P99:0.0}"), Text($"{100 * r.HitRate:0.0} %"),
                Text($"{r.Rejected}"), Text($"{r.Preemptions}"),
                Text($"{100 * r.PrefillBusy:0}/{100 * r.DecodeBusy:0} %"), Text($"{run.WallSeconds:0.0}"));
        }

        terminal.Ansi().Write(table);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
