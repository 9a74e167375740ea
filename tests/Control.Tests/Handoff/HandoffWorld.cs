using Krewe.Abstractions;
using Krewe.Control.Handoff;

namespace Krewe.Control.Tests.Handoff;

/// <summary>What the adversary does next; <paramref name="Pick"/> chooses among what is possible.</summary>
internal readonly record struct WorldMove(int Kind, int Pick);

/// <summary>
/// Both sides of a handoff with a hostile network between them: messages are delayed, repeated and reordered, links
/// die, leases expire, both owners abort, prefill advances at its own pace. Invariants are checked after every event.
/// </summary>
internal sealed class HandoffWorld(
    int blocks, BlockRuns present, Func<HandoffSource, SourceEvent, SourceStep> source,
    Func<HandoffTarget, TargetEvent, TargetStep> target)
{
    private readonly List<SourceEvent> _toSource = [];
    private readonly List<TargetEvent> _toTarget = [];
    private HandoffSource _source = HandoffSource.Begin(blocks);
    private HandoffTarget _target = HandoffTarget.Begin(blocks, present, window: 2);
    private int _openSends;
    private int _sourceFrees;
    private int _targetFrees;
    private int _commits;
    private bool _sourceAborted;
    private bool _targetAborted;

    public void Move(WorldMove move)
    {
        // Troubles are rare enough that a good part of the runs gets to the commit.
        var trouble = move.Pick % 40 == 0;
        switch (move.Kind)
        {
            case 0: Compute(move.Pick); break;
            case 1: Connect(); break;
            case 2 or 3 or 4: DeliverToSource(move.Pick, repeat: move.Pick % 16 == 1); break;
            case 5 or 6 or 7: DeliverToTarget(move.Pick, repeat: move.Pick % 16 == 1); break;
            case 8 when trouble: ToSource(new SourceEvent.Ended(ErrorCode.LeaseExpired, "expired")); break;
            case 9 when trouble: ToTarget(new TargetEvent.Ended(ErrorCode.HandoffTimeout, "silence")); break;
            default: break;
        }
    }

    /// <summary>
    /// The world goes quiet: links close, leases expire. After it both sides must have let go of everything.
    /// </summary>
    public void Settle()
    {
        while (_openSends > 0) ToSource(new SourceEvent.SendEnded());
        _toSource.Clear();
        ToTarget(new TargetEvent.LinkClosed());
        ToSource(new SourceEvent.Ended(ErrorCode.LeaseExpired, "expired"));
        Check(_sourceFrees == 1, "the source did not free");
        Check(_targetFrees == (_target.Stage == HandoffStage.Aborted ? 1 : 0), "the target did not free");
    }

    private void Compute(int pick)
    {
        if (_source.Filled == blocks && pick % 2 == 0) ToSource(new SourceEvent.PrefillEnded());
        else ToSource(new SourceEvent.BlocksFilled(_source.Filled + (pick % 3)));
    }

    private void Connect()
    {
        ToTarget(new TargetEvent.LinkUp());
        _toSource.Add(new SourceEvent.PullerArrived(present));
    }

    private void DeliverToSource(int pick, bool repeat)
    {
        if (_toSource.Count == 0) return;
        var message = Take(_toSource, pick);

        // The shell tells each send's end exactly once.
        if (repeat && message is not SourceEvent.SendEnded) _toSource.Add(message);
        ToSource(message);
    }

    private void DeliverToTarget(int pick, bool repeat)
    {
        if (_toTarget.Count == 0) return;
        var message = Take(_toTarget, pick);
        if (repeat) _toTarget.Add(message);
        ToTarget(message);
    }

    /// <summary>Mostly the oldest message, at times any.</summary>
    private static T Take<T>(List<T> messages, int pick)
    {
        var index = pick % 8 == 0 ? pick % messages.Count : pick % 8 == 1 ? messages.Count - 1 : 0;
        var message = messages[index];
        messages.RemoveAt(index);
        return message;
    }

    private void ToSource(SourceEvent happened)
    {
        if (happened is SourceEvent.SendEnded) _openSends--;
        var step = source(_source, happened);
        _source = step.State;
        foreach (var effect in step.Effects)
        {
            switch (effect)
            {
                case SourceEffect.SendBlocks send:
                    Check(send.Run.End <= _source.Filled, "an unfilled block is read");
                    Check(present.NextFrom(send.Run.First, blocks) >= send.Run.End, "a present block is sent");
                    Check(_sourceFrees == 0, "a freed block is sent");
                    _openSends++;
                    _toTarget.Add(new TargetEvent.BlocksArrived(send.Run));
                    _toSource.Add(new SourceEvent.SendEnded());
                    break;
                case SourceEffect.SendDone:
                    Check(_source.Finished, "the end is told before the first token is known");
                    _toTarget.Add(new TargetEvent.DoneArrived(blocks));
                    break;
                case SourceEffect.SendAbort abort:
                    _sourceAborted = true;
                    _toTarget.Add(new TargetEvent.Ended(abort.Code, abort.Reason));
                    break;
                case SourceEffect.SendCommitted: Check(!_sourceAborted, "the source commits after its abort"); break;
                case SourceEffect.Free:
                    Check(_openSends == 0, "the source frees under a send");
                    Check(
                        _source.Stage is HandoffStage.Committed or HandoffStage.Aborted,
                        "the source frees too early");
                    _sourceFrees++;
                    break;
                case SourceEffect.RefusePuller: break;
                default: throw new InvalidOperationException(effect.ToString());
            }
        }

        CheckBoth();
    }

    private void ToTarget(TargetEvent happened)
    {
        var step = target(_target, happened);
        _target = step.State;
        foreach (var effect in step.Effects)
        {
            switch (effect)
            {
                case TargetEffect.GrantCredit credit:
                    _toSource.Add(new SourceEvent.CreditGranted(credit.Blocks));
                    break;
                case TargetEffect.Commit:
                    Check(!_targetAborted, "the target commits after its abort");
                    Check(_target.Next == blocks, "the target commits without all blocks");
                    _commits++;
                    _toSource.Add(new SourceEvent.CommitArrived());
                    break;
                case TargetEffect.SendAbort abort:
                    _targetAborted = true;
                    _toSource.Add(new SourceEvent.Ended(abort.Code, abort.Reason));
                    break;
                case TargetEffect.Free:
                    Check(!_target.Receiving, "the target frees under a receive");
                    Check(_target.Stage == HandoffStage.Aborted, "the target frees what it owns");
                    _targetFrees++;
                    break;
                default: throw new InvalidOperationException(effect.ToString());
            }
        }

        CheckBoth();
    }

    private void CheckBoth()
    {
        var sourceComputes = _source.Stage is HandoffStage.Reserved or HandoffStage.Copying
            && !_source.Finished;
        var targetComputes = _target.Stage == HandoffStage.Committed;
        Check(!(sourceComputes && targetComputes), "two owners compute");
        Check(_source.Stage != HandoffStage.Committed || targetComputes, "the source gave up what nobody owns");
        Check(_sourceFrees <= 1 && _targetFrees <= 1, "blocks are freed twice");
        Check(_commits <= 1, "the target commits twice");
        Check(_target.Credited - _target.Arrived <= _target.Window, "more than the window travels");
    }

    private static void Check(bool condition, string violation)
    {
        if (!condition) throw new InvalidOperationException(violation);
    }
}
