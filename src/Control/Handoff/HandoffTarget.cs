using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Handoff;

/// <summary>
/// The decode worker's side of one handoff. It reserved blocks for the whole context before it began.
/// </summary>
public sealed record HandoffTarget
{
    public required HandoffStage Stage { get; init; }

    /// <summary>Blocks of the whole context.</summary>
    public required int Blocks { get; init; }

    /// <summary>Blocks it lets travel at once.</summary>
    public required int Window { get; init; }

    /// <summary>Blocks that it had before the handoff: never written, others may be reading them.</summary>
    public required BlockRuns Present { get; init; }

    /// <summary>Next block to arrive; those before it are here.</summary>
    public required int Next { get; init; }

    /// <summary>Blocks that must come.</summary>
    public int Missing => Blocks - Present.Count;

    /// <summary>Blocks that came.</summary>
    public int Arrived { get; init; }

    /// <summary>Blocks it has given credit for, those that came included.</summary>
    public int Credited { get; init; }

    /// <summary>True while the link may still write into a block.</summary>
    public bool Receiving { get; init; }

    /// <summary>
    /// True once the blocks were given back: exactly once, only after an abort, never while receiving.
    /// </summary>
    public bool Freed { get; init; }

    /// <summary>A target that has reserved its blocks and holds <paramref name="present"/> of them already.</summary>
    public static HandoffTarget Begin(int blocks, BlockRuns present, int window) => new()
    {
        Stage = HandoffStage.Reserved,
        Blocks = blocks,
        Window = window,
        Present = present,
        Next = present.SkipFrom(0),
    };

    /// <summary>Whether this run may be written now: the next one, missing here, asked for.</summary>
    public bool Expects(BlockRun run) =>
        Stage == HandoffStage.Copying && run.First == Next && run.Count > 0
        && run.Count <= Credited - Arrived && run.Count <= Present.NextFrom(Next, Blocks) - Next;
}

/// <summary>What happens to the target.</summary>
public abstract record TargetEvent
{
    private TargetEvent()
    {
    }

    /// <summary>The link to the source is up: bytes may arrive.</summary>
    public sealed record LinkUp : TargetEvent;

    /// <summary>A run arrived whole, all layers, and its checksums hold.</summary>
    public sealed record BlocksArrived(BlockRun Run) : TargetEvent;

    /// <summary>The source has sent everything: KV of <paramref name="Blocks"/> blocks.</summary>
    public sealed record DoneArrived(int Blocks) : TargetEvent;

    /// <summary>The link is closed: nothing writes into a block any more.</summary>
    public sealed record LinkClosed : TargetEvent;

    /// <summary>The handoff cannot go on: abort from either side, silence, damage, link loss.</summary>
    /// <param name="Code">Null when nothing is wrong: there is nothing to decode any more.</param>
    public sealed record Ended(ErrorCode? Code, string Reason) : TargetEvent;
}

/// <summary>What the target must do now, in this order.</summary>
public abstract record TargetEffect
{
    private TargetEffect()
    {
    }

    /// <summary>Let the source send this many more.</summary>
    public sealed record GrantCredit(int Blocks) : TargetEffect;

    /// <summary>Tell the source that the target owns the sequence, and begin to decode.</summary>
    public sealed record Commit : TargetEffect;

    /// <summary>Tell the source that the handoff is over, and close the link.</summary>
    public sealed record SendAbort(ErrorCode? Code, string Reason) : TargetEffect;

    /// <summary>Give the reserved blocks back.</summary>
    public sealed record Free : TargetEffect;
}

/// <summary>The target after an event, and what it must do.</summary>
public readonly record struct TargetStep(HandoffTarget State, ImmutableArray<TargetEffect> Effects);
