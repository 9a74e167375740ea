namespace Krewe.Workers;

/// <summary>What the engine did with the tiers below the device since it began. Engine thread only.</summary>
internal sealed class TierCounters
{
    /// <summary>Blocks copied down, while nobody used them or because a checkpoint was asked for.</summary>
    public ulong SpilledBlocks { get; set; }

    /// <summary>Blocks that were evicted from the device before they could be copied down.</summary>
    public ulong LostBlocks { get; set; }

    public ulong RestoredBlocks { get; set; }

    /// <summary>Blocks that a restore found bad; they were computed again.</summary>
    public ulong BadBlocks { get; set; }

    /// <summary>Preempted sequences whose blocks were copied down.</summary>
    public ulong SwitchesOut { get; set; }

    /// <summary>Copies that took: one for each run of blocks that lie side by side here and there.</summary>
    public ulong SwitchOutCopies { get; set; }

    /// <summary>Sequences that got blocks back from a lower tier.</summary>
    public ulong SwitchesIn { get; set; }

    /// <summary>Copies out of host memory, or reads of the disk, that took.</summary>
    public ulong SwitchInCopies { get; set; }

    /// <summary>Admissions for which computing was estimated to be cheaper than loading.</summary>
    public ulong RecomputeChosen { get; set; }
}
