using System.Globalization;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>A plan for people.</summary>
internal static class PlanTable
{
    private static readonly CultureInfo Invariant = CultureInfo.InvariantCulture;

    public static void Print(PlannedCluster planned, Terminal terminal)
    {
        var ansi = terminal.Ansi();
        var (options, placement) = (planned.Options, planned.Placement);
        ansi.WriteLine(string.Create(Invariant,
            $"{options.Hardware.Model.Name} on {options.Hardware.Gpu.Name}, {options.TargetRate:0.###} requests/s of "
            + $"{options.Workload.MeanPromptTokens:0} + {options.Workload.MeanOutputTokens:0} tokens; P"
            + $"{100 * options.Attainment:0.##} TTFT {options.Slo.TtftSeconds} s, TPOT {options.Slo.TpotSeconds} s."));
        ansi.WriteLine(string.Create(Invariant,
            $"Search over {placement.Candidates} shapes (affinity {Setting.Name(placement.Affinity)}): prefill "
            + $"tensor,pipeline {placement.Prefill.Shape} serves {placement.Prefill.RatePerSecond:0.000}/s, decode "
            + $"{placement.Decode.Shape} serves {placement.Decode.RatePerSecond:0.000}/s an instance; goodput "
            + $"{placement.GoodputPerGpu:0.0000}/s a GPU; {placement.PrefillInstances} + {placement.DecodeInstances} "
            + $"instances, {placement.Gpus} GPUs for Poisson arrivals and no shared prefix."));
        var table = new Table().AddColumns(
            "on the trace", "prefill", "decode", "GPUs a worker", "GPUs", "meets", "TTFT ok", "TPOT ok", "TTFT p90 ms",
            "TPOT p90 ms", "hits", "$/M tokens", "$/M output");
        if (planned.Apart is { } apart) Add(table, "prefill and decode apart", apart, planned);
        Add(table, "together, chunked", planned.Together, planned);
        ansi.Write(table);
        ansi.WriteLine(planned.Best is { } best
            ? Text($"Take {Describe(best)}: {best.Gpus} GPUs, {best.Gpus * planned.DollarsPerGpuHour:0.00} $/h.")
            : "Nothing that was tried meets the limits: the longest prompts may need more GPUs a worker (--tp).");
    }

    public static string Describe(CellPlan plan) => plan.Options.Mode == CellMode.Disagg
        ? Text($"{plan.Options.PrefillWorkers} prefill and {plan.Options.DecodeWorkers} decode workers")
        : Text($"{plan.Options.Workers} mixed workers");

    private static void Add(Table table, string name, CellPlan plan, PlannedCluster planned)
    {
        var r = plan.Report;
        var trace = planned.Options.Workload;
        table.AddRow(
            name, Text($"{(plan.Options.Mode == CellMode.Disagg ? plan.Options.PrefillWorkers : 0)}"),
            Text($"{plan.Options.DecodeWorkers}"), Text($"{plan.Options.Deployment.Gpus}"), Text($"{plan.Gpus}"),
            plan.Meets ? "yes" : "no", Text($"{100 * r.TtftAttainment:0.0} %"), Text($"{100 * r.TpotAttainment:0.0} %"),
            Text($"{r.TtftMs.P90:0}"), Text($"{r.TpotMs.P90:0.0}"),
            Text($"{100 * r.HitRate:0.0} %"),
            Text($"{plan.DollarsPerMillionTokens(planned.DollarsPerGpuHour, trace):0.000}"),
            Text($"{plan.DollarsPerMillionOutputTokens(planned.DollarsPerGpuHour, trace):0.00}"));
    }

    private static string Text(FormattableString text) => text.ToString(Invariant);
}
