using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>The engine's figures after one turn of its loop. Immutable: links read it from their own threads.</summary>
internal sealed record EngineLoad
{
    public int TotalBlocks { get; init; }

    public int FreeBlocks { get; init; }

    public int EvictableBlocks { get; init; }

    public int PinnedBlocks { get; init; }

    /// <summary>Sequences whose blocks wait for a puller or are being pulled.</summary>
    public int Leases { get; init; }

    public int RunningSequences { get; init; }

    public int WaitingSequences { get; init; }

    /// <summary>Known tokens not yet computed, of running and waiting sequences.</summary>
    public long WaitingTokens { get; init; }

    public long Steps { get; init; }

    public long PrefillTokens { get; init; }

    public long DecodeTokens { get; init; }

    /// <summary>Moving average of a step's time in milliseconds.</summary>
    public float StepMs { get; init; }

    public bool Draining { get; init; }

    /// <summary>Blocks copied to a lower tier ahead of their eviction.</summary>
    public long SpilledBlocks { get; init; }

    /// <summary>Blocks brought up from a lower tier instead of being computed.</summary>
    public long RestoredBlocks { get; init; }

    /// <summary>Blocks that were bad in a lower tier and were computed again.</summary>
    public long BadBlocks { get; init; }

    /// <summary>Blocks that were evicted without a copy in a lower tier.</summary>
    public long LostBlocks { get; init; }

    /// <summary>Admissions for which computing a prefix was cheaper than loading it.</summary>
    public long RecomputeChosen { get; init; }

    public LoadReport ToReport(ulong sequence) => new()
    {
        Sequence = sequence,
        TotalBlocks = (uint)TotalBlocks,
        FreeBlocks = (uint)FreeBlocks,
        EvictableBlocks = (uint)EvictableBlocks,
        PinnedBlocks = (uint)PinnedBlocks,
        Leases = (uint)Leases,
        RunningSequences = (uint)RunningSequences,
        WaitingSequences = (uint)WaitingSequences,
        WaitingTokens = (ulong)WaitingTokens,
        Steps = (ulong)Steps,
        PrefillTokens = (ulong)PrefillTokens,
        DecodeTokens = (ulong)DecodeTokens,
        StepMs = StepMs,
        Draining = Draining,
    };
}
