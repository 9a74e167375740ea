using Krewe.Abstractions;
using Krewe.Control.Migration;

namespace Krewe.Control.Tests.Migration;

/// <summary>What the adversary does next; <paramref name="Pick"/> chooses among what is possible.</summary>
internal readonly record struct WorldMove(int Kind, int Pick);

internal delegate MigrationSourceStep SourceRule(MigrationSource state, MigrationSourceEvent happened);

internal delegate MigrationTargetStep TargetRule(MigrationTarget state, MigrationTargetEvent happened);

/// <summary>
/// Both sides of a migration and the owner of the stream, with a hostile network between them: messages are delayed,
/// repeated and reordered, links die, watchdogs fire, the pool is full, the source decodes, ends and preempts at its
/// own pace. The sequence is a count of tokens; a block holds <see cref="BlockTokens"/> of them. Invariants are checked
/// after every event.
/// </summary>
internal sealed class MigrationWorld
{
    private const int BlockTokens = 2;
    private const int TargetPoolBlocks = 12;

    private readonly SourceRule _sourceRule;
    private readonly TargetRule _targetRule;
    private readonly List<MigrationSourceEvent> _toSource = [];
    private readonly List<(MigrationTargetEvent Event, int Tokens, int Life)> _toTarget = [];
    private readonly int _length;
    private MigrationSource _source;
    private MigrationTarget _target;

    // The source's engine. A life ends with a preemption: what an older life sent is not the sequence's KV any more.
    private int _sourceTokens;
    private int _life;
    private bool _sourceFrozen;
    private bool _sourceGone;
    private bool _targetGone;
    private int _openSends;
    private int _sourceFrees;
    private int _targetFrees;
    private int _commits;
    private bool _targetAborted;
    private bool _hasStaleBlock;

    // The owner: tokens it has, the epoch it takes, and whether it still allows the successor.
    private int _targetTokens;
    private int _ownerTokens;
    private bool _ownerTook;

    public MigrationWorld(int tokens, int present, MigrationLimits limits, SourceRule source, TargetRule target)
    {
        (_sourceRule, _targetRule) = (source, target);
        (_sourceTokens, _ownerTokens, _length) = (tokens, tokens, tokens + 30);
        _source = MigrationSource.Begin(tokens / BlockTokens, Blocks(tokens), limits);
        _target = MigrationTarget.Begin(
            Math.Min(present, tokens / BlockTokens), Math.Min(TargetPoolBlocks, Blocks(tokens)), limits.WindowBlocks);
    }

    public bool IsCommitted => _source.Stage == MigrationStage.Committed;

    public int Rounds => _source.Rounds;

    public void Move(WorldMove move)
    {
        // Troubles are rare enough that a good part of the runs gets to the commit.
        var trouble = move.Pick % 60 == 0;
        switch (move.Kind)
        {
            case 0 or 1: Decode(); break;
            case 2: Connect(); break;
            case 3 or 4 or 5: DeliverToSource(move.Pick, repeat: move.Pick % 16 == 1); break;
            case 6 or 7 or 8: DeliverToTarget(move.Pick, repeat: move.Pick % 16 == 1); break;
            case 9: DecodeOnTarget(); break;
            case 10 when trouble: EndSource("a watchdog of the source"); break;
            case 11 when trouble: ToTarget(new MigrationTargetEvent.Ended(ErrorCode.HandoffTimeout, "silence")); break;
            case 12 when trouble: Preempt(); break;
            case 13 when trouble: BreakLink(); break;
            default: break;
        }
    }

    /// <summary>Without troubles: everything is delivered in order until nothing is left to say.</summary>
    public void RunClean()
    {
        Connect();
        for (var turn = 0; turn < 200; turn++)
        {
            while (_toTarget.Count > 0 || _toSource.Count > 0)
            {
                DeliverToTarget(2, repeat: false);
                DeliverToSource(2, repeat: false);
            }

            Decode();
            DecodeOnTarget();
        }
    }

    /// <summary>The world goes quiet: links close and watchdogs fire. Nobody may wait, and nothing may be
    /// left.</summary>
    public void Settle()
    {
        BreakLink();
        while (_openSends > 0) ToSource(new MigrationSourceEvent.SendEnded());
        Check(!_sourceFrozen || _sourceGone, "the source is frozen for ever");
        Check(_source.Stage is MigrationStage.Committed or MigrationStage.Aborted, "the source still waits");
        Check(_target.Stage is MigrationStage.Committed or MigrationStage.Aborted, "the target still waits");
        Check(_sourceFrees == (IsCommitted ? 1 : 0), "the source did not free");
        Check(_targetFrees == (_target.Stage == MigrationStage.Aborted ? 1 : 0), "the target did not free");
        for (var token = 0; token < 2 * _length; token++)
        {
            Decode();
            DecodeOnTarget();
        }

        Check(_ownerTokens == _length, $"the owner has {_ownerTokens} of {_length} tokens");
    }

    private static int Blocks(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    // ---- the source's engine ----

    private void Decode()
    {
        if (_sourceGone || _sourceFrozen || _sourceTokens >= _length) return;
        Check(_source.MayCompute, $"the source samples while {_source.Stage}");
        _sourceTokens++;
        if (!_ownerTook) _ownerTokens = Math.Max(_ownerTokens, _sourceTokens);
        ToSource(new MigrationSourceEvent.Grown(_sourceTokens / BlockTokens, Blocks(_sourceTokens)));
        if (_sourceTokens >= _length) EndSource("the stream ended");
    }

    /// <summary>Its blocks go to others and it computes them again.</summary>
    private void Preempt()
    {
        if (_sourceGone || _sourceFrozen) return;
        _life++;
        EndSource("preempted");
    }

    private void EndSource(string reason) => ToSource(new MigrationSourceEvent.Ended(null, reason));

    // ---- the target's engine, and the owner ----

    private void DecodeOnTarget()
    {
        if (_targetGone || _target.Stage != MigrationStage.Committed || _targetTokens >= _length) return;
        _targetTokens++;
        _ownerTook = true;
        Check(_targetTokens <= _ownerTokens + 1, "the owner sees a gap");
        _ownerTokens = Math.Max(_ownerTokens, _targetTokens);
    }

    // ---- the network ----

    private void Connect()
    {
        if (_target.Stage != MigrationStage.Reserved) return;
        _toSource.Add(new MigrationSourceEvent.TargetArrived(_target.Next, _target.Room));
        ToTarget(new MigrationTargetEvent.LinkUp());
    }

    private void BreakLink()
    {
        // What a shell told itself is not lost with the link.
        _toSource.RemoveAll(message => message is not MigrationSourceEvent.SendEnded);
        _toTarget.Clear();
        ToTarget(new MigrationTargetEvent.LinkClosed());
        ToSource(new MigrationSourceEvent.Ended(ErrorCode.HandoffTargetLost, "the link broke"));
    }

    private void DeliverToSource(int pick, bool repeat)
    {
        if (_toSource.Count == 0) return;
        var message = Take(_toSource, pick);

        // The shell tells each send's end exactly once.
        if (repeat && message is not MigrationSourceEvent.SendEnded) _toSource.Add(message);
        ToSource(message);
    }

    private void DeliverToTarget(int pick, bool repeat)
    {
        if (_toTarget.Count == 0) return;
        var message = Take(_toTarget, pick);
        if (repeat) _toTarget.Add(message);
        if (message.Event is MigrationTargetEvent.BlockArrived && _target.Stage == MigrationStage.Copying)
            _hasStaleBlock |= message.Life != _life;
        if (message.Event is MigrationTargetEvent.TailArrived && _target.Stage == MigrationStage.Copying)
            _targetTokens = message.Tokens;
        ToTarget(message.Event);
    }

    /// <summary>Mostly the oldest message, at times any.</summary>
    private static T Take<T>(List<T> messages, int pick)
    {
        var index = pick % 16 == 0 ? pick % messages.Count : pick % 16 == 1 ? messages.Count - 1 : 0;
        var message = messages[index];
        messages.RemoveAt(index);
        return message;
    }

    private void ToSource(MigrationSourceEvent happened)
    {
        if (happened is MigrationSourceEvent.SendEnded) _openSends--;
        (_source, var effects) = _sourceRule(_source, happened);
        foreach (var effect in effects) Perform(effect);
        CheckBoth();
    }

    private void Perform(MigrationSourceEffect effect)
    {
        switch (effect)
        {
            case MigrationSourceEffect.SendBlock send:
                var isFull = send.Index < _sourceTokens / BlockTokens;
                Check(isFull || _sourceFrozen, "a growing block is read");
                Check(_sourceFrees == 0, "a freed block is sent");
                Check(send.Index < _target.Room || _targetGone, "a block travels without room for it");
                _openSends++;
                Send(new MigrationTargetEvent.BlockArrived(send.Index));
                _toSource.Add(new MigrationSourceEvent.SendEnded());
                break;
            case MigrationSourceEffect.AskRoom ask: Send(new MigrationTargetEvent.RoomAsked(ask.Blocks)); break;
            case MigrationSourceEffect.Freeze: _sourceFrozen = true; break;
            case MigrationSourceEffect.SendTail:
                Check(_sourceFrozen, "the tail leaves a source that decodes");
                Send(new MigrationTargetEvent.TailArrived(Blocks(_sourceTokens)));
                break;
            case MigrationSourceEffect.SendAbort abort:
                Send(new MigrationTargetEvent.Ended(abort.Code, abort.Reason));
                break;
            case MigrationSourceEffect.Unfreeze:
                Check(_sourceFrozen, "a source resumes that was not frozen");
                _sourceFrozen = false;
                break;
            case MigrationSourceEffect.SendCommitted: break;
            case MigrationSourceEffect.Free:
                Check(_openSends == 0, "the source frees under a send");
                Check(_commits == 1, "the source frees what nobody took over");
                _sourceFrees++;
                _sourceGone = true;
                break;
            default: throw new InvalidOperationException(effect.ToString());
        }
    }

    private void Send(MigrationTargetEvent message) => _toTarget.Add((message, _sourceTokens, _life));

    private void ToTarget(MigrationTargetEvent happened)
    {
        (_target, var effects) = _targetRule(_target, happened);
        foreach (var effect in effects) Perform(effect);
        CheckBoth();
    }

    private void Perform(MigrationTargetEffect effect)
    {
        switch (effect)
        {
            case MigrationTargetEffect.TellProgress progress:
                _toSource.Add(new MigrationSourceEvent.Progressed(progress.Received, progress.Room));
                break;
            case MigrationTargetEffect.Reserve reserve:
                ToTarget(reserve.Blocks <= TargetPoolBlocks
                    ? new MigrationTargetEvent.RoomReserved(reserve.Blocks)
                    : new MigrationTargetEvent.RoomRefused("the pool is full"));
                break;
            case MigrationTargetEffect.Commit:
                Check(!_targetAborted, "the target commits after its abort");
                Check(_target.Next >= Blocks(_targetTokens), "the target commits without all blocks");
                Check(!_hasStaleBlock, "the target commits a block that was freed under way");
                _commits++;
                _toSource.Add(new MigrationSourceEvent.CommitArrived());
                break;
            case MigrationTargetEffect.SendAbort abort:
                _targetAborted = true;
                _toSource.Add(new MigrationSourceEvent.Ended(abort.Code, abort.Reason));
                break;
            case MigrationTargetEffect.Free:
                Check(!_target.Receiving, "the target frees under a receive");
                Check(_target.Stage == MigrationStage.Aborted, "the target frees what it owns");
                _targetFrees++;
                _targetGone = true;
                break;
            default: throw new InvalidOperationException(effect.ToString());
        }
    }

    private void CheckBoth()
    {
        Check(_source.Stage != MigrationStage.Committed || _commits == 1, "the source gave up what nobody owns");
        Check(
            _source.Stage is not (MigrationStage.Frozen or MigrationStage.Committed) || _sourceFrozen,
            "the source is frozen and its engine does not know");
        Check(_sourceFrees <= 1 && _targetFrees <= 1, "blocks are freed twice");
        Check(_commits <= 1, "the target commits twice");
        Check(_target.Next <= _target.Room, "more arrived than there is room for");
    }

    private static void Check(bool condition, string violation)
    {
        if (!condition) throw new InvalidOperationException(violation);
    }
}
