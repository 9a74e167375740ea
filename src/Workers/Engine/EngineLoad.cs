using Krewe.Abstractions.Wire;
using Krewe.Control.Steps;

namespace Krewe.Workers;

/// <summary>The engine's figures after one turn of its loop.</summary>
internal readonly record struct EngineLoad
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

    /// <summary>What a step takes, as learnt so far; null before the first.</summary>
    public StepTimeCoefficients? StepTime { get; init; }

    /// <summary>What the tiers below the pool hold and did; null without tiers.</summary>
    public TierReport? Tiers { get; init; }

    /// <summary>While draining: what is left of the grace.</summary>
    public TimeSpan DrainLeft { get; init; }

    /// <summary>Sequences on their way in or out.</summary>
    public int Migrations { get; init; }

    /// <summary>Sequences that came since the start.</summary>
    public long MigratedIn { get; init; }

    public long MigratedOut { get; init; }

    /// <summary>Blocks that the first waiting sequence wants and the pool does not have.</summary>
    public int HeadOfLineBlocks { get; init; }

    /// <summary>Blocks pulled from other workers' prefix caches instead of being computed.</summary>
    public long FetchedBlocks { get; init; }

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
        Tiers = Tiers,
        DrainLeftMs = (uint)Math.Max(0, DrainLeft.TotalMilliseconds),
        Migrations = (uint)Migrations,
        MigratedIn = (ulong)MigratedIn,
        MigratedOut = (ulong)MigratedOut,
        HeadOfLineBlocks = (uint)HeadOfLineBlocks,
    };
}
