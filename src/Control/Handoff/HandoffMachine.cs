using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Handoff;

/// <summary>
/// The handoff of one sequence's KV, both sides: (state, event) → (state, effects). Total: an event that no longer
/// matters (late, repeated, of a stage gone by) changes nothing. What it guarantees, whatever the order of events:
/// one computing owner at most, blocks freed exactly once a side and never under a transfer, no commit after an abort.
/// </summary>
public static class HandoffMachine
{
    public static SourceStep Apply(HandoffSource state, SourceEvent happened) => happened switch
    {
        SourceEvent.BlocksFilled filled => Fill(state, filled.Filled),
        SourceEvent.PrefillEnded => Fill(state with { Finished = true }, state.Blocks),
        SourceEvent.PullerArrived puller => Attach(state, puller.Present),
        SourceEvent.CreditGranted credit => Grant(state, credit.Blocks),
        SourceEvent.SendEnded => FreeWhenQuiet(state with { Sending = Math.Max(0, state.Sending - 1) }, []),
        SourceEvent.CommitArrived => CommitSource(state),
        SourceEvent.Ended ended => EndSource(state, ended.Code, ended.Reason),
        _ => throw new ArgumentOutOfRangeException(nameof(happened), happened, "An event without a transition."),
    };

    public static TargetStep Apply(HandoffTarget state, TargetEvent happened) => happened switch
    {
        TargetEvent.LinkUp => LinkTarget(state),
        TargetEvent.BlocksArrived blocks => TakeBlocks(state, blocks.Run),
        TargetEvent.DoneArrived done => CommitTarget(state, done.Blocks),
        TargetEvent.LinkClosed => CloseTarget(state),
        TargetEvent.Ended ended => EndTarget(state, ended.Code, ended.Reason),
        _ => throw new ArgumentOutOfRangeException(nameof(happened), happened, "An event without a transition."),
    };

    private static bool IsOver(HandoffStage stage) => stage is HandoffStage.Committed or HandoffStage.Aborted;

    // ---- source ----

    private static SourceStep Fill(HandoffSource state, int filled) =>
        IsOver(state.Stage)
            ? new(state, [])
            : Send(state with { Filled = Math.Clamp(filled, state.Filled, state.Blocks) });

    private static SourceStep Attach(HandoffSource state, BlockRuns present)
    {
        if (state.Stage == HandoffStage.Aborted)
            return new(state, [new SourceEffect.RefusePuller("The source has given this sequence up.")]);
        if (state.Stage != HandoffStage.Reserved)
            return new(state, [new SourceEffect.RefusePuller("Another link pulls this sequence already.")]);
        if (present.End > state.Blocks)
        {
            return new(state, [new SourceEffect.RefusePuller(
                $"The target says that it has block {present.End - 1} of a sequence of {state.Blocks}.")]);
        }

        return Send(state with { Stage = HandoffStage.Copying, Present = present, Next = present.SkipFrom(0) });
    }

    // A hostile or broken peer's credits must not overflow into a negative number: more than all blocks is never
    // useful.
    private static SourceStep Grant(HandoffSource state, int blocks) =>
        state.Stage != HandoffStage.Copying || blocks <= 0
            ? new(state, [])
            : Send(state with { Credit = (int)Math.Min((long)state.Credit + blocks, state.Blocks) });

    /// <summary>Sends what is filled, missing and credited; when nothing is left, the end of prefill.</summary>
    private static SourceStep Send(HandoffSource state)
    {
        if (state.Stage != HandoffStage.Copying) return new(state, []);
        var effects = ImmutableArray.CreateBuilder<SourceEffect>();
        while (state.Credit > 0 && state.Next < state.Filled)
        {
            var end = state.Present.NextFrom(state.Next, state.Filled);
            var run = new BlockRun(state.Next, Math.Min(end - state.Next, state.Credit));
            effects.Add(new SourceEffect.SendBlocks(run));
            state = state with
            {
                Next = state.Present.SkipFrom(run.End),
                Credit = state.Credit - run.Count,
                Sending = state.Sending + 1,
            };
        }

        if (state.Next == state.Blocks && state.Finished)
        {
            effects.Add(new SourceEffect.SendDone());
            state = state with { Stage = HandoffStage.Frozen };
        }

        return new(state, effects.ToImmutable());
    }

    // Before Frozen the target cannot have everything: such a commit is a protocol error, and nobody may own.
    private static SourceStep CommitSource(HandoffSource state) => state.Stage switch
    {
        HandoffStage.Frozen => FreeWhenQuiet(
            state with { Stage = HandoffStage.Committed }, [new SourceEffect.SendCommitted()]),
        HandoffStage.Reserved or HandoffStage.Copying => EndSource(
            state, ErrorCode.HandoffCorrupt, "The target committed before it was sent everything."),
        HandoffStage.Committed or HandoffStage.Aborted => new(state, []),
        _ => throw new ArgumentOutOfRangeException(nameof(state), state.Stage, "A stage without a transition."),
    };

    private static SourceStep EndSource(HandoffSource state, ErrorCode? code, string reason) =>
        IsOver(state.Stage)
            ? new(state, [])
            : FreeWhenQuiet(
                state with { Stage = HandoffStage.Aborted }, [new SourceEffect.SendAbort(code, reason)]);

    private static SourceStep FreeWhenQuiet(HandoffSource state, ImmutableArray<SourceEffect> effects) =>
        IsOver(state.Stage) && state.Sending == 0 && !state.Freed
            ? new(state with { Freed = true }, effects.Add(new SourceEffect.Free()))
            : new(state, effects);

    // ---- target ----

    private static TargetStep LinkTarget(HandoffTarget state)
    {
        if (state.Stage != HandoffStage.Reserved) return new(state, []);
        var credit = Math.Min(state.Window, state.Missing);
        return new(
            state with { Stage = HandoffStage.Copying, Receiving = true, Credited = credit },
            credit > 0 ? [new TargetEffect.GrantCredit(credit)] : []);
    }

    private static TargetStep TakeBlocks(HandoffTarget state, BlockRun run)
    {
        if (state.Stage != HandoffStage.Copying) return new(state, []);
        if (!state.Expects(run))
        {
            return EndTarget(state, ErrorCode.HandoffCorrupt, $"Blocks {run.First} to {run.End - 1} arrived where "
                + $"block {state.Next} was due; {state.Credited - state.Arrived} were asked for.");
        }

        var credit = Math.Min(run.Count, state.Missing - state.Credited);
        state = state with
        {
            Next = state.Present.SkipFrom(run.End),
            Arrived = state.Arrived + run.Count,
            Credited = state.Credited + credit,
        };
        return new(state, credit > 0 ? [new TargetEffect.GrantCredit(credit)] : []);
    }

    private static TargetStep CommitTarget(HandoffTarget state, int blocks)
    {
        if (state.Stage != HandoffStage.Copying) return new(state, []);
        if (blocks != state.Blocks || state.Next != state.Blocks)
        {
            return EndTarget(state, ErrorCode.HandoffCorrupt,
                $"The source ended after {blocks} blocks; {state.Arrived} of {state.Missing} came.");
        }

        return new(state with { Stage = HandoffStage.Committed }, [new TargetEffect.Commit()]);
    }

    // A link that closes by itself in mid-copy loses the source; one that closes behind an abort only ends the wait.
    private static TargetStep CloseTarget(HandoffTarget state)
    {
        state = state with { Receiving = false };
        return IsOver(state.Stage)
            ? FreeWhenQuiet(state, [])
            : EndTarget(state, ErrorCode.HandoffSourceLost, "The source's link closed before everything had arrived.");
    }

    private static TargetStep EndTarget(HandoffTarget state, ErrorCode? code, string reason) =>
        IsOver(state.Stage)
            ? new(state, [])
            : FreeWhenQuiet(state with { Stage = HandoffStage.Aborted }, [new TargetEffect.SendAbort(code, reason)]);

    private static TargetStep FreeWhenQuiet(HandoffTarget state, ImmutableArray<TargetEffect> effects) =>
        state is { Stage: HandoffStage.Aborted, Receiving: false, Freed: false }
            ? new(state with { Freed = true }, effects.Add(new TargetEffect.Free()))
            : new(state, effects);
}
