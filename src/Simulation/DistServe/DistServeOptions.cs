namespace Krewe.Simulation.DistServe;

/// <summary>Tensor and pipeline parallel size of one instance.</summary>
public readonly record struct InstanceShape(int TensorParallel, int PipelineParallel)
{
    public override string ToString() => $"{TensorParallel},{PipelineParallel}";
}

/// <summary>One simulated cluster: disaggregated (engine "distserve") or co-located (engine "vllm").</summary>
public sealed record DistServeOptions
{
    /// <summary>
    /// "distserve": prefill and decode instances apart. "vllm": each instance does both, prefill first.
    /// </summary>
    public required string Engine { get; init; }

    /// <summary>"13b" or "66b" (OPT).</summary>
    public required string Model { get; init; }

    /// <summary>Shape of a prefill instance; of every instance with engine "vllm".</summary>
    public required InstanceShape Prefill { get; init; }

    /// <summary>Shape of a decode instance; not used with engine "vllm".</summary>
    public InstanceShape Decode { get; init; } = new(1, 1);

    public int PrefillInstances { get; init; } = 1;

    public int DecodeInstances { get; init; } = 1;

    public bool Disaggregated => Engine == "distserve";
}

/// <summary>One request of a workload.</summary>
/// <param name="StartSeconds">When it arrives, relative to the workload's start.</param>
public readonly record struct SimulatedRequest(double StartSeconds, int PromptTokens, int OutputTokens);

/// <summary>What one request met, ms.</summary>
/// <param name="Request">Its index in the workload.</param>
/// <param name="FirstTokenMs">TTFT: arrival to the end of its prefill.</param>
/// <param name="TotalMs">Arrival to exit.</param>
/// <param name="TpotMs">(exit - first token) / output tokens, as DistServe's simulator counts.</param>
public readonly record struct RequestTiming(int Request, double FirstTokenMs, double TotalMs, double TpotMs);
