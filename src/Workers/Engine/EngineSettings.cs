using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>What an engine needs to know beside its runner.</summary>
internal sealed record EngineSettings
{
    /// <summary>Parts that it takes: prefill, decode, or everything.</summary>
    public required WorkerRole Role { get; init; }

    /// <summary>Part of every prefix hash: blocks of different models are never mixed up.</summary>
    public required string ModelFingerprint { get; init; }

    /// <summary>The model's own end tokens; they stop a sequence unless it ignores them.</summary>
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    public int StepBudgetTokens { get; init; } = 512;

    public int MaxRunningSequences { get; init; } = 256;

    public bool PrefixCache { get; init; } = true;

    /// <summary>Null = a sequence with a constraint is refused.</summary>
    public IConstraintFactory? Constraints { get; init; }

    /// <summary>How long a puller may wait for a sequence that this worker does not know (yet).</summary>
    public TimeSpan PullerWaitLimit { get; init; } = new ClusterOptions().HandoffLease;
}
