using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Migration;

/// <summary>
/// Live migration of one sequence, both sides: (state, event) → (state, effects). Total: an event that no longer
/// matters (late, repeated, of a stage gone by) changes nothing. What it guarantees, whatever the order of events: no
/// side samples while frozen, no commit without every block and token, no commit after an abort, a block travels only
/// when full and only into room that is reserved; a committed source and an aborted target free once, and never under a
/// transfer.
/// </summary>
/// <remarks>
/// An aborted source's blocks are its engine's again at once, sends or not. A send under way may read one that is freed
/// and written anew; what it carries is never used, because no tail follows an abort and without a tail no commit.
///
/// One thing two sides alone cannot settle: a commit that is lost on its way with the link. The target then owns the
/// sequence and the source, whose link broke while it was frozen, resumes. Both compute the same tokens until the owner
/// of the stream, which takes those of one epoch only, has ended the other side (RequestMachine).
/// </remarks>
public static class MigrationMachine
{
    public static MigrationSourceStep Apply(MigrationSource state, MigrationSourceEvent happened) => happened switch
    {
        MigrationSourceEvent.TargetArrived target => Attach(state, target.Present, target.Room),
        MigrationSourceEvent.Grown grown => Grow(state, grown.Full, grown.Blocks),
        MigrationSourceEvent.Progressed progress => Progress(state, progress.Received, progress.Room),
        MigrationSourceEvent.SendEnded =>
            FreeWhenQuiet(state with { Sending = Math.Max(0, state.Sending - 1) }, []),
        MigrationSourceEvent.CommitArrived => CommitSource(state),
        MigrationSourceEvent.Ended ended => EndSource(state, ended.Code, ended.Reason),
        _ => throw new ArgumentOutOfRangeException(nameof(happened), happened, "An event without a transition."),
    };

    public static MigrationTargetStep Apply(MigrationTarget state, MigrationTargetEvent happened) => happened switch
    {
        MigrationTargetEvent.LinkUp => state.Stage == MigrationStage.Reserved
            ? new(state with { Stage = MigrationStage.Copying, Receiving = true }, [])
            : new(state, []),
        MigrationTargetEvent.BlockArrived block => TakeBlock(state, block.Index),
        MigrationTargetEvent.RoomAsked asked => state.Stage != MigrationStage.Copying || asked.Blocks <= state.Room
            ? new(state, [])
            : new(state, [new MigrationTargetEffect.Reserve(asked.Blocks)]),
        MigrationTargetEvent.RoomReserved reserved => TakeRoom(state, reserved.Room),
        MigrationTargetEvent.RoomRefused refused => EndTarget(state, ErrorCode.Overloaded, refused.Reason),
        MigrationTargetEvent.TailArrived tail => CommitTarget(state, tail.Blocks),
        MigrationTargetEvent.LinkClosed => CloseTarget(state),
        MigrationTargetEvent.Ended ended => EndTarget(state, ended.Code, ended.Reason),
        _ => throw new ArgumentOutOfRangeException(nameof(happened), happened, "An event without a transition."),
    };

    private static bool IsOver(MigrationStage stage) => stage is MigrationStage.Committed or MigrationStage.Aborted;

    // ---- source ----

    private static MigrationSourceStep Attach(MigrationSource state, int present, int room)
    {
        if (state.Stage != MigrationStage.Reserved) return new(state, []);
        if (present < 0 || present > room)
            return EndSource(state, ErrorCode.HandoffCorrupt, $"The target has {present} of {room} reserved blocks.");

        // The target's prefix cache may know more than is computed here (a preempted sequence): nothing travels then.
        return Advance(state with
        {
            Stage = MigrationStage.Copying,
            Next = present,
            Received = present,
            Room = room,
            Asked = room,
            RoundEnd = state.Full,
        });
    }

    private static MigrationSourceStep Grow(MigrationSource state, int full, int blocks)
    {
        // Nothing grows on a frozen side; after the end nobody asks.
        if (state.Stage is not (MigrationStage.Reserved or MigrationStage.Copying)) return new(state, []);
        full = Math.Max(full, state.Full);
        return Advance(state with { Full = full, Blocks = Math.Max(Math.Max(blocks, full), state.Blocks) });
    }

    private static MigrationSourceStep Progress(MigrationSource state, int received, int room)
    {
        if (state.Stage is not (MigrationStage.Copying or MigrationStage.Frozen)) return new(state, []);
        if (received > state.Next)
        {
            return EndSource(state, ErrorCode.HandoffCorrupt,
                $"The target says it has {received} blocks; {state.Next} were sent.");
        }

        // Both only grow: an older message that comes later says nothing new.
        return Advance(state with
        {
            Received = Math.Max(received, state.Received),
            Room = Math.Max(room, state.Room),
        });
    }

    /// <summary>Sends what may travel, asks for room, ends rounds, and freezes when little enough is left.</summary>
    private static MigrationSourceStep Advance(MigrationSource state)
    {
        if (state.Stage == MigrationStage.Reserved) return new(state, []);
        var effects = ImmutableArray.CreateBuilder<MigrationSourceEffect>();
        state = SendBlocks(state, state.Stage == MigrationStage.Frozen ? state.Blocks : state.Full, effects);
        if (state.Stage == MigrationStage.Copying)
        {
            // One block ahead: the growing block may be full before the answer is here.
            if (state.Blocks + 1 > state.Asked)
            {
                state = state with { Asked = state.Blocks + 1 };
                effects.Add(new MigrationSourceEffect.AskRoom(state.Asked));
            }

            if (state.Received >= state.RoundEnd && state.Full > state.RoundEnd)
                state = state with { Rounds = state.Rounds + 1, RoundEnd = state.Full };
            var missing = state.Full - state.Received;
            var isLast = state.Rounds >= state.Limits.RoundsMax;
            if (missing <= (isLast ? state.Limits.LastRoundBlocks : state.Limits.FreezeBlocks)
                && state.Room >= state.Blocks)
            {
                effects.Add(new MigrationSourceEffect.Freeze());
                state = SendBlocks(state with { Stage = MigrationStage.Frozen }, state.Blocks, effects);
            }
            else if (isLast && missing > state.Limits.LastRoundBlocks)
            {
                return EndSource(state, null,
                    $"After {state.Rounds} rounds {missing} blocks are missing: the sequence grows faster than the "
                    + "link carries.", effects);
            }
        }

        if (state.Stage == MigrationStage.Frozen && state.Next >= state.Blocks && !state.TailSent)
        {
            effects.Add(new MigrationSourceEffect.SendTail());
            state = state with { TailSent = true };
        }

        return new(state, effects.ToImmutable());
    }

    private static MigrationSource SendBlocks(
        MigrationSource state, int end, ImmutableArray<MigrationSourceEffect>.Builder effects)
    {
        end = Math.Min(Math.Min(end, state.Room), state.Received + state.Limits.WindowBlocks);
        for (; state.Next < end; state = state with { Next = state.Next + 1, Sending = state.Sending + 1 })
            effects.Add(new MigrationSourceEffect.SendBlock(state.Next));
        return state;
    }

    // Before the tail was sent the target cannot have everything: such a commit is a protocol error, and the source
    // keeps the sequence.
    private static MigrationSourceStep CommitSource(MigrationSource state)
    {
        if (IsOver(state.Stage)) return new(state, []);
        return state is { Stage: MigrationStage.Frozen, TailSent: true }
            ? FreeWhenQuiet(
                state with { Stage = MigrationStage.Committed }, [new MigrationSourceEffect.SendCommitted()])
            : EndSource(state, ErrorCode.HandoffCorrupt, "The target committed before it was sent everything.");
    }

    private static MigrationSourceStep EndSource(
        MigrationSource state, ErrorCode? code, string reason,
        ImmutableArray<MigrationSourceEffect>.Builder? before = null)
    {
        ImmutableArray<MigrationSourceEffect> effects = before is null ? [] : before.ToImmutable();
        if (IsOver(state.Stage)) return new(state, effects);
        effects = effects.Add(new MigrationSourceEffect.SendAbort(code, reason));
        if (state.Stage == MigrationStage.Frozen) effects = effects.Add(new MigrationSourceEffect.Unfreeze());
        return new(state with { Stage = MigrationStage.Aborted }, effects);
    }

    // An aborted source frees nothing here: the sequence is its engine's again, with every block.
    private static MigrationSourceStep FreeWhenQuiet(
        MigrationSource state, ImmutableArray<MigrationSourceEffect> effects) =>
        state is { Stage: MigrationStage.Committed, Sending: 0, Freed: false }
            ? new(state with { Freed = true }, effects.Add(new MigrationSourceEffect.Free()))
            : new(state, effects);

    // ---- target ----

    private static MigrationTargetStep TakeBlock(MigrationTarget state, int index)
    {
        if (state.Stage != MigrationStage.Copying) return new(state, []);
        if (index != state.Next || index >= state.Room)
        {
            return EndTarget(state, ErrorCode.HandoffCorrupt,
                $"Block {index} arrived where block {state.Next} of {state.Room} reserved ones was due.");
        }

        state = state with { Next = state.Next + 1 };
        return new(state, [new MigrationTargetEffect.TellProgress(state.Next, state.Room)]);
    }

    private static MigrationTargetStep TakeRoom(MigrationTarget state, int room)
    {
        if (state.Stage != MigrationStage.Copying || room <= state.Room) return new(state, []);
        state = state with { Room = room };
        return new(state, [new MigrationTargetEffect.TellProgress(state.Next, room)]);
    }

    private static MigrationTargetStep CommitTarget(MigrationTarget state, int blocks)
    {
        if (state.Stage != MigrationStage.Copying) return new(state, []);

        // More present than the source has is fine: a prefix cache may know blocks that a preempted source lost.
        return blocks <= state.Next
            ? new(state with { Stage = MigrationStage.Committed }, [new MigrationTargetEffect.Commit()])
            : EndTarget(state, ErrorCode.HandoffCorrupt,
                $"The source ended after {blocks} blocks; {state.Next} are here.");
    }

    // A link that closes by itself in mid-copy loses the source; one that closes behind an abort only ends the wait.
    private static MigrationTargetStep CloseTarget(MigrationTarget state)
    {
        state = state with { Receiving = false };
        return IsOver(state.Stage)
            ? FreeWhenQuiet(state, [])
            : EndTarget(state, ErrorCode.HandoffSourceLost, "The source's link closed before everything had arrived.");
    }

    private static MigrationTargetStep EndTarget(MigrationTarget state, ErrorCode? code, string reason) =>
        IsOver(state.Stage)
            ? new(state, [])
            : FreeWhenQuiet(
                state with { Stage = MigrationStage.Aborted }, [new MigrationTargetEffect.SendAbort(code, reason)]);

    private static MigrationTargetStep FreeWhenQuiet(
        MigrationTarget state, ImmutableArray<MigrationTargetEffect> effects) =>
        state is { Stage: MigrationStage.Aborted, Receiving: false, Freed: false }
            ? new(state with { Freed = true }, effects.Add(new MigrationTargetEffect.Free()))
            : new(state, effects);
}
