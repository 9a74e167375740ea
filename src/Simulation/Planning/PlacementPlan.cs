using Krewe.Simulation.DistServe;

namespace Krewe.Simulation;

/// <summary>One instance shape and what it serves.</summary>
/// <param name="RatePerSecond">Highest rate at which one instance meets its limit.</param>
public sealed record InstancePlan(InstanceShape Shape, double RatePerSecond)
{
    public int Gpus => Shape.TensorParallel * Shape.PipelineParallel;

    public double RatePerGpu => RatePerSecond / Gpus;
}

/// <summary>Pools for a target rate.</summary>
public sealed record PlacementPlan
{
    public required NodeAffinity Affinity { get; init; }

    public required InstancePlan Prefill { get; init; }

    public required InstancePlan Decode { get; init; }

    public required int PrefillInstances { get; init; }

    public required int DecodeInstances { get; init; }

    /// <summary>Pipeline segments that span nodes (algorithm 2); 1 otherwise.</summary>
    public int Segments { get; init; } = 1;

    public required double TargetRate { get; init; }

    /// <summary>Shapes that were tried.</summary>
    public required int Candidates { get; init; }

    public int Gpus => Segments * ((PrefillInstances * Prefill.Gpus) + (DecodeInstances * Decode.Gpus));

    /// <summary>Requests a second and GPU that meet the limits when every pool is as busy as it may be.</summary>
    public double GoodputPerGpu => Affinity == NodeAffinity.Low
        ? Prefill.RatePerSecond / (Segments * (Prefill.Gpus + Decode.Gpus))
        : 1 / ((1 / Prefill.RatePerGpu) + (1 / Decode.RatePerGpu));
}
