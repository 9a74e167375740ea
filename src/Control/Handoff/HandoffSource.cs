using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Handoff;

/// <summary>
/// The prefill worker's side of one handoff. Blocks are logical indices 0 .. <see cref="Blocks"/> - 1.
/// </summary>
public sealed record HandoffSource
{
    public required HandoffStage Stage { get; init; }

    /// <summary>Blocks of the whole context.</summary>
    public required int Blocks { get; init; }

    /// <summary>
    /// Blocks [0, Filled) may be sent: they are not written any more, or by the step under way alone, whose finished
    /// layers the sender waits for.
    /// </summary>
    public int Filled { get; init; }

    /// <summary>The first token is known: prefill is over and every block is final.</summary>
    public bool Finished { get; init; }

    /// <summary>Blocks that the target has already; they are never sent.</summary>
    public BlockRuns Present { get; init; } = BlockRuns.None;

    /// <summary>Next block to send; those before it were sent or were on the target already.</summary>
    public int Next { get; init; }

    /// <summary>Blocks that the target still has room to take.</summary>
    public int Credit { get; init; }

    /// <summary>Runs whose sends may still read a block.</summary>
    public int Sending { get; init; }

    /// <summary>
    /// True once the blocks were given back: exactly once, never while <see cref="Sending"/> is above 0.
    /// </summary>
    public bool Freed { get; init; }

    /// <summary>A prefill that was just accepted: it holds nothing worth sending yet.</summary>
    public static HandoffSource Begin(int blocks) => new() { Stage = HandoffStage.Reserved, Blocks = blocks };
}

/// <summary>What happens to the source.</summary>
public abstract record SourceEvent
{
    private SourceEvent()
    {
    }

    /// <summary>
    /// Prefill has filled blocks up to <paramref name="Filled"/>, or does so in the step that begins now; the sender
    /// then follows its layers.
    /// </summary>
    public sealed record BlocksFilled(int Filled) : SourceEvent;

    /// <summary>Prefill is over: all blocks, the tail included, are filled and the first token is known.</summary>
    public sealed record PrefillEnded : SourceEvent;

    /// <summary>A target said hello; it has the blocks <paramref name="Present"/>.</summary>
    public sealed record PullerArrived(BlockRuns Present) : SourceEvent;

    /// <summary>The target has room for <paramref name="Blocks"/> more.</summary>
    public sealed record CreditGranted(int Blocks) : SourceEvent;

    /// <summary>One run's send will not read its blocks any more, whether it got through or not.</summary>
    public sealed record SendEnded : SourceEvent;

    public sealed record CommitArrived : SourceEvent;

    /// <summary>
    /// The handoff cannot or need not go on: abort from either side, lease expiry, link loss, end of stream.
    /// </summary>
    /// <param name="Code">Null when nothing is wrong: the stream ended with the first token, or its owner cancelled
    /// it.</param>
    public sealed record Ended(ErrorCode? Code, string Reason) : SourceEvent;
}

/// <summary>What the source must do now, in this order.</summary>
public abstract record SourceEffect
{
    private SourceEffect()
    {
    }

    /// <summary>Send these blocks; one <see cref="SourceEvent.SendEnded"/> must follow.</summary>
    public sealed record SendBlocks(BlockRun Run) : SourceEffect;

    /// <summary>Send the end of prefill with the first token.</summary>
    public sealed record SendDone : SourceEffect;

    /// <summary>Acknowledge the commit and close.</summary>
    public sealed record SendCommitted : SourceEffect;

    /// <summary>Tell the puller, when there is one, that the handoff is over, and close its link.</summary>
    public sealed record SendAbort(ErrorCode? Code, string Reason) : SourceEffect;

    /// <summary>Another puller holds this handoff: refuse the new one.</summary>
    public sealed record RefusePuller(string Reason) : SourceEffect;

    /// <summary>Give the blocks back.</summary>
    public sealed record Free : SourceEffect;
}

/// <summary>The source after an event, and what it must do.</summary>
public readonly record struct SourceStep(HandoffSource State, ImmutableArray<SourceEffect> Effects);
