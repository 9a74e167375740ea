using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>What the search proposed, and the pools that met the limits on the trace itself.</summary>
internal sealed record PlannedCluster(
    PlanOptions Options, PlacementPlan Placement, CellPlan? Apart, CellPlan Together, double DollarsPerGpuHour)
{
    /// <summary>Trials of the check that a progress bar expects; more only stretch it.</summary>
    private const int TrialsExpected = 12;

    /// <summary>The cheaper of those that meet the limits; null when none does.</summary>
    public CellPlan? Best => new[] { Apart, Together }.Where(p => p is { Meets: true }).MinBy(p => p!.Gpus);

    /// <summary>
    /// Runs the trace through pools of the proposed shapes. Prefill and decode workers have the same number of GPUs in
    /// the cell simulator: when the shapes differ, the decode pool's is taken and the prefill pool counted in GPUs.
    /// </summary>
    public static PlannedCluster Check(
        PlanOptions options, PlacementPlan placement, CellOptions template, ProgressContext progress,
        CancellationToken cancellation)
    {
        var trials = progress.AddTask("trials on the trace", maxValue: 2 * TrialsExpected);
        void Said(CellPlan plan) => trials.Increment(1);
        CellPlan? apart = null;
        var stages = placement.Prefill.Shape.PipelineParallel * placement.Decode.Shape.PipelineParallel;
        if (placement.Segments * stages == 1)
        {
            var prefillGpus = placement.PrefillInstances * placement.Prefill.Gpus;
            var deployment = options.Hardware with { TensorParallel = placement.Decode.Shape.TensorParallel };
            var shaped = template with { Deployment = deployment };
            apart = CellPlanner.Apart(
                shaped, options.Workload, options.Attainment,
                Math.Max(1, (prefillGpus + shaped.Deployment.Gpus - 1) / shaped.Deployment.Gpus),
                placement.DecodeInstances, Said, cancellation);
        }

        var mixed = template with
        {
            Mode = CellMode.Chunked,
            Deployment = options.Hardware with { TensorParallel = placement.Decode.Shape.TensorParallel },
        };
        var together = CellPlanner.Together(
            mixed, options.Workload, options.Attainment, placement.PrefillInstances + placement.DecodeInstances, Said,
            cancellation);
        trials.Value = trials.MaxValue;
        return new PlannedCluster(
            options, placement, apart, together, options.DollarsPerGpuHour ?? options.Hardware.Gpu.DollarsPerHour);
    }
}
