namespace Krewe.Simulation.Faults;

/// <summary>Deliberate defects: each must be caught by a checker, or the checkers are worth nothing.</summary>
public enum FaultDefect
{
    None,

    /// <summary>The owner takes tokens of any epoch at any index.</summary>
    OwnerForgetsEpochs,

    /// <summary>The source frees its blocks when the last send begins, not when the last send has ended.</summary>
    SourceFreesWhileSending,

    /// <summary>A worker that is told to abort a decode keeps its blocks.</summary>
    WorkerKeepsAborted,

    /// <summary>Leases are not given back at a request's end.</summary>
    LeasesAreKept,

    /// <summary>A block of the disk that was torn by a crash is served all the same.</summary>
    TornBlocksAreServed,

    /// <summary>A migration's source goes on computing while it is frozen.</summary>
    FrozenSourceComputes,

    /// <summary>A migration's source sends the block that still grows as if it were full.</summary>
    GrowingBlockTravels,

    /// <summary>A migration's target takes over although blocks are missing.</summary>
    TargetCommitsEarly,
}
