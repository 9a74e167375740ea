using Krewe.Abstractions;
using Krewe.Control.Migration;

namespace Krewe.Simulation.Faults;

/// <summary>
/// Both ends of a live migration: feeds the machine of Control and performs its effects over a link of their own.
/// </summary>
internal sealed partial class SimulatedWorker
{
    /// <summary>Small, so that sequences of a few blocks go through every stage.</summary>
    private static readonly MigrationLimits MoveLimits = new(WindowBlocks: 2);

    /// <summary>Frozen, a source waits for the commit alone: much less patience than for a copy.</summary>
    private const long FreezeLimitNs = 1000 * FaultWorld.Millisecond;

    private long SilenceNs => (long)world.Cluster.LinkSilenceLimit.TotalMilliseconds * FaultWorld.Millisecond;

    // ---- source ----

    private void TargetArrived(WorkerSequence target, SimulatedLink link, int room)
    {
        var known = target.Start.Prompt.Length + target.Start.Output.Length;
        var key = target.Start.Key with { Epoch = target.Start.SourceEpoch };
        if (!_sequences.TryGetValue(key, out var sequence) || !CanMove(sequence) || known > sequence.Tokens.Count)
        {
            link.Send(() => target.Owner.EndArrival(target, null, $"{key} cannot leave {Id}"));
            return;
        }

        var move = sequence.Move = new OutgoingMove(target, link, known)
        {
            State = MigrationSource.Begin(FullBlocks(sequence), UsedBlocks(sequence), MoveLimits),
            LastSign = world.Now,
        };
        WatchSource(sequence, move);
        Step(sequence, move, new MigrationSourceEvent.TargetArrived(0, room));
    }

    /// <summary>Not while it is moved already, only prefills, or is itself still on its way here.</summary>
    private static bool CanMove(WorkerSequence sequence) => sequence is { Alive: true, Move: null, IsFrozen: false }
        && sequence.Start.Part != SequencePart.Prefill
        && sequence.Target is null or { Stage: Krewe.Control.Handoff.HandoffStage.Committed }
        && (sequence.Start.Part != SequencePart.Decode || sequence.Target is not null);

    private void FromMoveTarget(WorkerSequence target, MigrationSourceEvent happened)
    {
        var key = target.Start.Key with { Epoch = target.Start.SourceEpoch };
        if (!_sequences.TryGetValue(key, out var sequence) || sequence.Move?.Target != target) return;
        sequence.Move.LastSign = world.Now;
        Step(sequence, sequence.Move, happened);
    }

    /// <summary>After each step: what a leaving sequence has grown.</summary>
    private void Grew(WorkerSequence sequence)
    {
        if (sequence.Move is not { } move) return;
        var full = FullBlocks(sequence);
        if (world.Defect == FaultDefect.GrowingBlockTravels) full = UsedBlocks(sequence);
        Step(sequence, move, new MigrationSourceEvent.Grown(full, UsedBlocks(sequence)));
    }

    /// <summary>The sequence ends here or loses its blocks: the target must not take over.</summary>
    private void CallBack(WorkerSequence sequence, string reason)
    {
        if (sequence.Move is { } move) Step(sequence, move, new MigrationSourceEvent.Ended(null, reason));
    }

    private void Step(WorkerSequence sequence, OutgoingMove move, MigrationSourceEvent happened)
    {
        if (sequence.Move != move) return;
        (move.State, var effects) = MigrationMachine.Apply(move.State, happened);

        // It is the engine's again: what is still under way for that target concerns nobody here.
        if (move.State.Stage == MigrationStage.Aborted) sequence.Move = null;
        foreach (var effect in effects) Perform(sequence, move, effect);
    }

    private void Perform(WorkerSequence sequence, OutgoingMove move, MigrationSourceEffect effect)
    {
        var (link, target) = (move.Link, move.Target);
        switch (effect)
        {
            case MigrationSourceEffect.SendBlock send:
                SendBlock(sequence, move, send.Index);
                break;
            case MigrationSourceEffect.AskRoom ask:
                link.Send(() => target.Owner.Arrived(target, new MigrationTargetEvent.RoomAsked(ask.Blocks)));
                break;
            case MigrationSourceEffect.Freeze:
                sequence.Turn++;
                Local(FreezeLimitNs, () => Step(sequence, move, new MigrationSourceEvent.Ended(
                    ErrorCode.HandoffTimeout, "no commit within the freeze limit")));
                break;
            case MigrationSourceEffect.SendTail:
                var (blocks, computed) = (move.State.Blocks, sequence.Waiting ? 0 : sequence.Computed);
                var tokens = sequence.Tokens.Skip(move.KnownTokens).ToArray();
                AfterSends(sequence, () =>
                    link.Send(() => target.Owner.TailArrived(target, blocks, computed, move.KnownTokens, tokens)));
                break;
            case MigrationSourceEffect.SendAbort abort:
                link.Send(() => target.Owner.EndArrival(target, abort.Code, abort.Reason));
                break;
            case MigrationSourceEffect.Unfreeze:
                Resume(sequence);
                break;
            case MigrationSourceEffect.Free:
                if (move.Sending > 0)
                    throw new FaultViolationException($"{sequence.Start.Key} is freed under {move.Sending} sends.");
                Release(sequence);
                break;
            case MigrationSourceEffect.SendCommitted:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a performer.");
        }
    }

    // The block is read when its send ends, as a socket would: whoever writes into it before that is found out.
    private void SendBlock(WorkerSequence sequence, OutgoingMove move, int index)
    {
        var block = sequence.Table[index].Value;
        move.Sending++;
        sequence.SendsEndAt = Math.Max(sequence.SendsEndAt, world.Now) + FaultWorld.Millisecond;
        AfterSends(sequence, () =>
        {
            var content = _contents[block];
            move.Sending--;
            move.Link.Send(() => move.Target.Owner.BlockArrived(move.Target, index, content));
            Step(sequence, move, new MigrationSourceEvent.SendEnded());
        });
    }

    private void WatchSource(WorkerSequence sequence, OutgoingMove move) => Local(SilenceNs / 4, () =>
    {
        if (sequence.Move != move) return;
        if (world.Now - move.LastSign > SilenceNs)
            Step(sequence, move, new MigrationSourceEvent.Ended(ErrorCode.HandoffTimeout, "the target was silent"));
        else WatchSource(sequence, move);
    });

    /// <summary>Computes on from where it was stopped.</summary>
    private void Resume(WorkerSequence sequence)
    {
        if (sequence.Waiting) Local(StepNs, () => Admit(sequence));
        else if (sequence.Tokens.Count - sequence.Computed == 1) Next(sequence, Decode);
        else Next(sequence, Prefill);
    }

    // ---- target ----

    private void StartMove(WorkerSequence sequence)
    {
        Report(sequence, RequestReportKind.Accepted);
        var room = BlocksFor(sequence.Tokens.Count);
        if (!Pool.TryGrow(sequence.Table, room))
        {
            Report(sequence, RequestReportKind.MigrationAborted, ErrorCode.Overloaded, "no room");
            Tell(silo => silo.Report(sequence.Start.Key.RequestId, Released(sequence.Start.Key)));
            return;
        }

        _sequences.Add(sequence.Start.Key, sequence);
        sequence.Waiting = false;
        sequence.Arriving = MigrationTarget.Begin(0, room, MoveLimits.WindowBlocks);
        sequence.LastSign = world.Now;
        Report(sequence, RequestReportKind.MigrationStarted);
        var source = world.Worker(sequence.Start.SourceId!);
        if (!source.IsUp)
        {
            EndArrival(sequence, ErrorCode.HandoffSourceLost, "the source refuses connections");
            return;
        }

        var link = sequence.DataLink = new SimulatedLink(world, Id, source.Id);
        link.Send(() => source.Local(0, () => source.TargetArrived(sequence, link, room)));
        Step(sequence, new MigrationTargetEvent.LinkUp());
        WatchArrival(sequence);
    }

    private void Arrived(WorkerSequence sequence, MigrationTargetEvent happened) => Local(0, () =>
    {
        sequence.LastSign = world.Now;
        Step(sequence, happened);
    });

    private void BlockArrived(WorkerSequence sequence, int index, ulong content) => Local(0, () =>
    {
        if (!sequence.Alive) return;
        sequence.LastSign = world.Now;
        var state = sequence.Arriving!;
        if (state.Stage == MigrationStage.Copying && index == state.Next && index < state.Room)
            _contents[sequence.Table[index].Value] = content;
        Step(sequence, new MigrationTargetEvent.BlockArrived(index));
    });

    private void TailArrived(
        WorkerSequence sequence, int blocks, int computed, int known, int[] tokens) => Local(0, () =>
    {
        if (!sequence.Alive || sequence.Arriving!.Stage != MigrationStage.Copying) return;
        if (known != sequence.Tokens.Count)
            throw new FaultViolationException($"{sequence.Start.Key}: the tail begins behind {known} tokens.");
        if (world.Defect == FaultDefect.TargetCommitsEarly)
            sequence.Arriving = sequence.Arriving with { Next = Math.Max(blocks, sequence.Arriving.Next) };

        // Taken over first, as the engine does: a source that hears of a commit frees.
        var tail = new MigrationTargetEvent.TailArrived(blocks);
        if (MigrationMachine.Apply(sequence.Arriving, tail).State.Stage != MigrationStage.Committed)
        {
            Step(sequence, tail);
            return;
        }

        CheckSourceIsStopped(sequence);
        Report(sequence, RequestReportKind.MigrationCommitted);
        sequence.Computed = computed;
        var index = sequence.OutputTokens;
        sequence.Tokens.AddRange(tokens);
        SendTokens(sequence, index, tokens);
        Step(sequence, tail);
        if (computed < sequence.Tokens.Count - 1 && !Pool.TryGrow(sequence.Table, BlocksFor(sequence.Tokens.Count)))
        {
            // A prefill needs blocks for all that is known; without them it begins again when there are some.
            Pool.Release(sequence.Table);
            sequence.Waiting = true;
        }

        Resume(sequence);
    });

    /// <summary>One owner: whoever takes over finds the other side stopped, or no longer at it.</summary>
    private void CheckSourceIsStopped(WorkerSequence sequence)
    {
        var source = world.Worker(sequence.Start.SourceId!);
        var key = sequence.Start.Key with { Epoch = sequence.Start.SourceEpoch };
        if (source._sequences.TryGetValue(key, out var old) && old.Move is { } move && move.Target == sequence
            && move.State.MayCompute)
            throw new FaultViolationException($"{sequence.Start.Key} takes over from a source that computes on.");
    }

    private void EndArrival(WorkerSequence sequence, ErrorCode? code, string reason) =>
        Local(0, () => Step(sequence, new MigrationTargetEvent.Ended(code, reason)));

    private void Step(WorkerSequence sequence, MigrationTargetEvent happened)
    {
        if (!sequence.Alive) return;
        (sequence.Arriving, var effects) = MigrationMachine.Apply(sequence.Arriving!, happened);
        foreach (var effect in effects) Perform(sequence, effect);
    }

    private void Perform(WorkerSequence sequence, MigrationTargetEffect effect)
    {
        switch (effect)
        {
            case MigrationTargetEffect.TellProgress progress:
                ToMoveSource(sequence, new MigrationSourceEvent.Progressed(progress.Received, progress.Room));
                break;
            case MigrationTargetEffect.Reserve reserve:
                Step(sequence, Pool.TryGrow(sequence.Table, reserve.Blocks)
                    ? new MigrationTargetEvent.RoomReserved(sequence.Table.Count)
                    : new MigrationTargetEvent.RoomRefused("no room for what it has grown"));
                break;
            case MigrationTargetEffect.Commit:
                ToMoveSource(sequence, new MigrationSourceEvent.CommitArrived());
                break;
            case MigrationTargetEffect.SendAbort abort:
                Report(sequence, RequestReportKind.MigrationAborted, abort.Code, abort.Reason);
                ToMoveSource(sequence, new MigrationSourceEvent.Ended(abort.Code, abort.Reason));
                Local(0, () => Step(sequence, new MigrationTargetEvent.LinkClosed()));
                break;
            case MigrationTargetEffect.Free:
                Release(sequence);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a performer.");
        }
    }

    private void ToMoveSource(WorkerSequence sequence, MigrationSourceEvent happened)
    {
        var source = world.Worker(sequence.Start.SourceId!);
        sequence.DataLink?.Send(() => source.Local(0, () => source.FromMoveTarget(sequence, happened)));
    }

    private void WatchArrival(WorkerSequence sequence) => Local(SilenceNs / 4, () =>
    {
        if (!sequence.Alive || sequence.Arriving!.Stage == MigrationStage.Committed) return;
        if (world.Now - sequence.LastSign > SilenceNs)
            EndArrival(sequence, ErrorCode.HandoffTimeout, "the source was silent");
        else WatchArrival(sequence);
    });

    // ---- both ----

    /// <summary>This process is gone: the other ends read the end of the stream.</summary>
    private void CloseMoves(WorkerSequence sequence)
    {
        if (sequence.Move is { } move)
        {
            move.Link.Close();
            var owner = move.Target.Owner;
            owner.Local(
                FaultWorld.Millisecond, () => owner.Step(move.Target, new MigrationTargetEvent.LinkClosed()));
        }

        if (sequence.Arriving is null || sequence.DataLink is not { } link) return;
        link.Close();
        var source = world.Worker(sequence.Start.SourceId!);
        source.Local(FaultWorld.Millisecond, () => source.FromMoveTarget(
            sequence, new MigrationSourceEvent.Ended(ErrorCode.WorkerLost, "the target's link closed")));
    }

    private static int FullBlocks(WorkerSequence sequence) =>
        sequence.Waiting ? 0 : sequence.Computed / FaultWorld.BlockTokens;

    private static int UsedBlocks(WorkerSequence sequence) => sequence.Waiting ? 0 : BlocksFor(sequence.Computed);
}
