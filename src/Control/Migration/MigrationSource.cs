using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Migration;

/// <summary>The source's side of one migration. Blocks are logical indices of the sequence.</summary>
public sealed record MigrationSource
{
    public required MigrationStage Stage { get; init; }

    public required MigrationLimits Limits { get; init; }

    /// <summary>Blocks [0, Full) are full: nothing writes into them any more.</summary>
    public int Full { get; init; }

    /// <summary>Blocks with any KV: Full, or one more while one is growing.</summary>
    public int Blocks { get; init; }

    /// <summary>Next block to send; those before it were sent or were on the target already.</summary>
    public int Next { get; init; }

    /// <summary>Blocks that the target says it has, from the first.</summary>
    public int Received { get; init; }

    /// <summary>Blocks that the target has reserved, from the first.</summary>
    public int Room { get; init; }

    /// <summary>Blocks that the target was asked to reserve.</summary>
    public int Asked { get; init; }

    /// <summary>Rounds that are over. A round copies what was full when it began.</summary>
    public int Rounds { get; init; }

    /// <summary>The round under way is over when the target has this many.</summary>
    public int RoundEnd { get; init; }

    public bool TailSent { get; init; }

    /// <summary>Sends that may still read a block.</summary>
    public int Sending { get; init; }

    /// <summary>True once the blocks were given back after a commit: exactly once, never under a send.</summary>
    public bool Freed { get; init; }

    /// <summary>The engine may give the sequence rows and sample.</summary>
    public bool MayCompute => Stage is MigrationStage.Reserved or MigrationStage.Copying or MigrationStage.Aborted;

    /// <summary>A sequence that nobody has asked for yet.</summary>
    /// <param name="full">Its full blocks.</param>
    /// <param name="blocks">Its blocks with any KV.</param>
    /// <param name="limits">When to freeze.</param>
    public static MigrationSource Begin(int full, int blocks, MigrationLimits limits) =>
        new() { Stage = MigrationStage.Reserved, Full = full, Blocks = blocks, Limits = limits };
}

/// <summary>What happens to the source.</summary>
public abstract record MigrationSourceEvent
{
    private MigrationSourceEvent()
    {
    }

    /// <summary>A target said hello; it has the first <paramref name="Present"/> blocks and room for
    /// <paramref name="Room"/>.</summary>
    public sealed record TargetArrived(int Present, int Room) : MigrationSourceEvent;

    /// <summary>A step is over: <paramref name="Full"/> blocks are full, <paramref name="Blocks"/> have any
    /// KV.</summary>
    public sealed record Grown(int Full, int Blocks) : MigrationSourceEvent;

    /// <summary>The target has the first <paramref name="Received"/> blocks and room for
    /// <paramref name="Room"/>.</summary>
    public sealed record Progressed(int Received, int Room) : MigrationSourceEvent;

    /// <summary>One send will not read its block any more, whether it got through or not.</summary>
    public sealed record SendEnded : MigrationSourceEvent;

    public sealed record CommitArrived : MigrationSourceEvent;

    /// <summary>
    /// It cannot or need not go on: abort by the target, link loss, a watchdog; or the sequence finished, was aborted
    /// or preempted here.
    /// </summary>
    /// <param name="Code">Null when nothing is wrong.</param>
    public sealed record Ended(ErrorCode? Code, string Reason) : MigrationSourceEvent;
}

/// <summary>What the source must do now, in this order.</summary>
public abstract record MigrationSourceEffect
{
    private MigrationSourceEffect()
    {
    }

    /// <summary>Send this block; <see cref="MigrationSourceEvent.SendEnded"/> must follow.</summary>
    public sealed record SendBlock(int Index) : MigrationSourceEffect;

    /// <summary>Ask the target to have room for this many blocks in all.</summary>
    public sealed record AskRoom(int Blocks) : MigrationSourceEffect;

    /// <summary>Take the sequence out of the batch: it gets no row and samples nothing from now on.</summary>
    public sealed record Freeze : MigrationSourceEffect;

    /// <summary>Send the tokens that the target does not know: with them it has everything.</summary>
    public sealed record SendTail : MigrationSourceEffect;

    /// <summary>Acknowledge the commit and close.</summary>
    public sealed record SendCommitted : MigrationSourceEffect;

    /// <summary>Tell the target that it is over, and close.</summary>
    public sealed record SendAbort(ErrorCode? Code, string Reason) : MigrationSourceEffect;

    /// <summary>Put a frozen sequence back into the batch.</summary>
    public sealed record Unfreeze : MigrationSourceEffect;

    /// <summary>Give the blocks back: the target owns the sequence.</summary>
    public sealed record Free : MigrationSourceEffect;
}

/// <summary>The source after an event, and what it must do.</summary>
public readonly record struct MigrationSourceStep(
    MigrationSource State, ImmutableArray<MigrationSourceEffect> Effects);
