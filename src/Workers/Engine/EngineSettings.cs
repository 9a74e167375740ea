using Krewe.Abstractions;
using Krewe.Control.KvEvents;

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

    /// <summary>Longest gap between two tokens of a stream that a step should leave; null: none.</summary>
    public TimeSpan? InterTokenSlo { get; init; }

    public int MaxRunningSequences { get; init; } = 256;

    public bool PrefixCache { get; init; } = true;

    public EvictionPolicy Eviction { get; init; } = EvictionPolicy.ReuseCost;

    /// <summary>Tiers below the device; null for none. Whoever made them disposes them after the engine.</summary>
    public KvTiers? Tiers { get; init; }

    /// <summary>Told of every block that enters or leaves the prefix cache; null: nobody wants to know.</summary>
    public KvEventLog? KvEvents { get; init; }

    /// <summary>Most sequences that come here by migration at once, and most that leave.</summary>
    public int MigrationsMax { get; init; } = 4;

    /// <summary>For comparison: a migration freezes its sequence first and copies everything then.</summary>
    public bool BlockingMigration { get; init; }

    /// <summary>
    /// How long a frozen sequence waits for its target's commit before it goes on here: long beside a block's copy,
    /// short beside a reader's patience.
    /// </summary>
    public TimeSpan FreezeLimit { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long what runs may take to finish or to leave, once told to drain without a deadline.</summary>
    public TimeSpan DrainGrace { get; init; } = TimeSpan.FromSeconds(25);

    /// <summary>Told of each state change and each step; null: nobody measures.</summary>
    public EngineWatch? Watch { get; init; }

    /// <summary>Null = a sequence with a constraint is refused.</summary>
    public IConstraintFactory? Constraints { get; init; }

    /// <summary>How long a puller may wait for a sequence that this worker does not know (yet).</summary>
    public TimeSpan PullerWaitLimit { get; init; } = new ClusterOptions().HandoffLease;
}
