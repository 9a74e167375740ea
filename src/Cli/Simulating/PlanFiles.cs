using System.Globalization;
using System.Text;
using System.Text.Json;
using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>A plan for programs: JSON, and values for the Helm chart.</summary>
internal static class PlanFiles
{
    /// <summary>Requests a second that one gateway takes in; it tokenizes and streams on CPUs.</summary>
    private const double GatewayRate = 200;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
    };

    public static void WriteJson(string path, PlannedCluster planned)
    {
        var (options, placement) = (planned.Options, planned.Placement);
        File.WriteAllText(path, JsonSerializer.Serialize(
            new
            {
                Model = options.Hardware.Model.Name,
                Gpu = options.Hardware.Gpu.Name,
                options.TargetRate,
                SloTtftSeconds = options.Slo.TtftSeconds,
                SloTpotSeconds = options.Slo.TpotSeconds,
                options.Attainment,
                planned.DollarsPerGpuHour,
                Search = new
                {
                    Affinity = Setting.Name(placement.Affinity),
                    placement.Candidates,
                    Prefill = Describe(placement.Prefill, placement.PrefillInstances),
                    Decode = Describe(placement.Decode, placement.DecodeInstances),
                    placement.Segments,
                    placement.Gpus,
                    placement.GoodputPerGpu,
                },
                Apart = Describe(planned.Apart, planned),
                Together = Describe(planned.Together, planned),
                Best = planned.Best is { } best ? PlanTable.Describe(best) : null,
            },
            Json) + "\n");
    }

    /// <summary>The pools of the plan that was chosen; nothing else of the chart is touched.</summary>
    public static void WriteHelm(string path, PlannedCluster planned)
    {
        var best = planned.Best
            ?? throw new SimulationException("No plan meets the limits: there are no values to write.");
        var apart = best.Options.Mode == CellMode.Disagg;
        var text = new StringBuilder();
        void Add(FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
        var (hardware, slo) = (planned.Options.Hardware, planned.Options.Slo);
        Add($"# krewe plan: {hardware.Model.Name} at {planned.Options.TargetRate:0.###} requests/s");
        Add($"# {best.Gpus} x {hardware.Gpu.Name}");
        Add($"# for P{100 * planned.Options.Attainment:0.##}: TTFT {slo.TtftSeconds} s, TPOT {slo.TpotSeconds} s");
        Add($"silo:");
        Add($"  replicas: {Math.Max(1, (int)Math.Ceiling(planned.Options.TargetRate / GatewayRate))}");
        AddPool(Add, "prefill", apart ? best.Options.PrefillWorkers : 0, best.Options.Deployment.Gpus);
        AddPool(Add, "decode", apart ? best.Options.DecodeWorkers : 0, best.Options.Deployment.Gpus);
        AddPool(Add, "mixed", apart ? 0 : best.Options.Workers, best.Options.Deployment.Gpus);
        File.WriteAllText(path, text.ToString());
    }

    private static void AddPool(Action<FormattableString> add, string name, int replicas, int gpus)
    {
        add($"{name}:");
        add($"  replicas: {replicas}");
        add($"  gpus: {gpus}");
    }

    private static object Describe(InstancePlan plan, int instances) => new
    {
        plan.Shape.TensorParallel,
        plan.Shape.PipelineParallel,
        plan.RatePerSecond,
        plan.RatePerGpu,
        Instances = instances,
    };

    private static object? Describe(CellPlan? plan, PlannedCluster planned) => plan is null ? null : new
    {
        Mode = Setting.Name(plan.Options.Mode),
        PrefillWorkers = plan.Options.Mode == CellMode.Disagg ? plan.Options.PrefillWorkers : 0,
        plan.Options.DecodeWorkers,
        GpusPerWorker = plan.Options.Deployment.Gpus,
        plan.Gpus,
        plan.Meets,
        plan.Report.Attainment,
        plan.Report.TtftAttainment,
        plan.Report.TpotAttainment,
        plan.Report.TtftMs,
        plan.Report.TpotMs,
        plan.Report.HitRate,
        DollarsPerMillionTokens = plan.DollarsPerMillionTokens(planned.DollarsPerGpuHour, planned.Options.Workload),
        DollarsPerMillionOutputTokens =
            plan.DollarsPerMillionOutputTokens(planned.DollarsPerGpuHour, planned.Options.Workload),
    };
}
