namespace Krewe.Simulation;

/// <summary>How prefill and decode workers can be placed.</summary>
public enum NodeAffinity
{
    /// <summary>Any two workers pass KV fast enough: each pool is planned alone (DistServe's algorithm 1).</summary>
    High,

    /// <summary>KV must stay inside a node: both are planned together, node by node (algorithm 2).</summary>
    Low,
}

/// <summary>What a plan is asked for.</summary>
public sealed record PlanOptions
{
    /// <summary>Model, GPU and formats; its parallel sizes are what is looked for.</summary>
    public required Deployment Hardware { get; init; }

    /// <summary>Lengths of requests, and their rate.</summary>
    public required Trace Workload { get; init; }

    public required ServiceLevel Slo { get; init; }

    /// <summary>Percentile of requests that must meet each limit.</summary>
    public double Attainment { get; init; } = 0.9;

    /// <summary>Requests a second to be served; null takes the workload's own.</summary>
    public double? RatePerSecond { get; init; }

    public NodeAffinity Affinity { get; init; } = NodeAffinity.High;

    public int GpusPerNode { get; init; } = GpuShape.PerNode;

    /// <summary>Most nodes that one instance may span.</summary>
    public int NodesMax { get; init; } = 1;

    /// <summary>Most pipeline stages; Krewe's workers run one, the paper's algorithms search more.</summary>
    public int StagesMax { get; init; } = 1;

    /// <summary>Requests of each trial.</summary>
    public int TrialRequests { get; init; } = 500;

    /// <summary>A rate is found to this share of itself.</summary>
    public double RateTolerance { get; init; } = 0.02;

    /// <summary>Price of a GPU hour; null takes the GPU's usual one.</summary>
    public double? DollarsPerGpuHour { get; init; }

    public ulong Seed { get; init; } = 1;

    /// <summary>Published fits are used for OPT on A100, as the paper did.</summary>
    public bool UsePublishedFits { get; init; } = true;

    public double TargetRate => RatePerSecond ?? Workload.RatePerSecond;
}
