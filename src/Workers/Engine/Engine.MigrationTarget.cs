using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// Sequences that come by migration: reserved at once or not at all, since their source decodes on meanwhile and loses
/// nothing by a refusal.
/// </summary>
internal sealed partial class Engine
{
    private int _incoming;
    private long _migratedIn;

    private void StartMigration(ISequenceOwner owner, Sequence sequence, StartSequence start)
    {
        if (ArrivalRefusal(sequence) is { } refusal)
        {
            _outbox.Tell(owner, sequence.Key, SequenceEventKind.Accepted);
            TellStays(owner, sequence.Key, refusal.Code, refusal.Reason);
            _outbox.Tell(owner, sequence.Key, SequenceEventKind.Released);
            return;
        }

        // Its place in this worker's order, should it have to wait here after all.
        (sequence.ArrivedMs, sequence.ExpectedMs) = ((long)Now.TotalMilliseconds, ExpectedPrefillMs(sequence));
        _sequences.Add(sequence.Key, sequence);
        _kv.Admit(sequence);
        sequence.Stage = SequenceStage.Receiving;
        _incoming++;
        _outbox.Tell(owner, sequence.Key, SequenceEventKind.Accepted);
        _outbox.Tell(owner, sequence.Key, SequenceEventKind.MigrationStarted);
        sequence.ActivePull = _migrations!.Start(
            new MigrationRequest(
                sequence.Key, (int)start.SourceEpoch, sequence.PullSource!, BlocksOf(sequence),
                sequence.InsertedBlocks, sequence.KnownTokens, sequence.OutputCount, sequence.LeaseLife),
            Post);
    }

    private (ErrorCode Code, string Reason)? ArrivalRefusal(Sequence sequence)
    {
        if (_incoming >= _settings.MigrationsMax)
            return (ErrorCode.Overloaded, $"{_incoming} sequences are coming here already.");
        if (_running.Count + _incoming >= _settings.MaxRunningSequences)
            return (ErrorCode.Overloaded, $"{_running.Count} sequences run here, which is the most.");

        // One block for each that runs: whoever comes must not push out who is there.
        var hit = _kv.Peek(sequence);
        var needed = _kv.BlocksFor(sequence.KnownTokens) - hit.Blocks + hit.EvictableBlocks;
        return needed + _running.Count + _incoming + 1 <= _kv.AvailableBlocks
            ? null
            : (ErrorCode.Overloaded, $"{needed} blocks are needed, {_kv.AvailableBlocks} are free here.");
    }

    private void GiveRoom(EngineCommand.Migration.RoomAsked asked)
    {
        var isThere = _sequences.TryGetValue(asked.Key, out var sequence) && sequence.Stage == SequenceStage.Receiving;
        var hasRoom = isThere
            && asked.Blocks - sequence!.Blocks.Count + _running.Count <= _kv.AvailableBlocks
            && _kv.TryGrow(sequence, asked.Blocks);
        asked.Answer(hasRoom ? BlocksOf(sequence!) : null);
    }

    /// <summary>Everything is here: the sequence is ours from now on, unless it was ended meanwhile.</summary>
    private void EndMigration(EngineCommand.Migration.Arrived arrived)
    {
        var sequence = _sequences[arrived.Key];
        if (sequence.Stage != SequenceStage.Receiving)
        {
            arrived.Answer(false);
            return;
        }

        sequence.ActivePull = null;
        _incoming--;
        _migratedIn++;
        TakeOver(sequence, arrived.State);
        arrived.Answer(true);
    }

    private void TakeOver(Sequence sequence, MigratedState state)
    {
        // The prefix cache may have known more than a source that had begun anew (preempted there).
        sequence.ComputedTokens = Math.Max(state.ComputedTokens, sequence.ComputedTokens);
        sequence.WasPulled = sequence.PrefillReported = true;
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.MigrationCommitted, change =>
        {
            change.BlocksMoved = (uint)state.BlocksMoved;
            change.BytesMoved = (ulong)state.BytesMoved;
        });

        // Every token that the owner did not have when this began is told again: whether the source's last words came
        // through does not matter, the owner drops what it knows.
        for (var i = 0; i < state.Tokens.Count; i++)
        {
            var token = new SampledToken(state.Tokens[i], state.Logprobs.Count > 0 ? state.Logprobs[i] : null);
            _outbox.Add(sequence, sequence.OutputCount, token, FinishReason.Unspecified);
            sequence.Append(token);
        }

        sequence.SampledCount = Math.Max(1, state.Tokens.Count);
        _kv.InsertFull(sequence);

        // A prefill needs blocks for all that is known; without them it begins again when there are some.
        var isDecode = sequence.KnownTokens - sequence.ComputedTokens == 1;
        if (isDecode || _kv.TryGrow(sequence, _kv.BlocksFor(sequence.KnownTokens)))
        {
            sequence.Stage = SequenceStage.Running;
            _running.Add(sequence);
            return;
        }

        _kv.Release(sequence);
        sequence.Stage = SequenceStage.Waiting;
        _waiting.Add(sequence);
    }

    private void EndMigration(EngineCommand.Migration.Aborted aborted)
    {
        var sequence = _sequences[aborted.Key];
        _incoming--;
        sequence.ActivePull = null;
        if (sequence.Stage != SequenceStage.Ending)
            TellStays(sequence.Owner, sequence.Key, aborted.Code, aborted.Reason);
        sequence.Stage = SequenceStage.Ending;
        Release(sequence);
    }

    private void TellStays(ISequenceOwner owner, SequenceKey key, ErrorCode? code, string reason) =>
        _outbox.Tell(owner, key, SequenceEventKind.MigrationAborted, change =>
        {
            change.ErrorCode = code?.ToString() ?? "";
            change.Message = reason;
        });

    private static BlockId[] BlocksOf(Sequence sequence)
    {
        var blocks = new BlockId[sequence.Blocks.Count];
        for (var i = 0; i < blocks.Length; i++) blocks[i] = sequence.Blocks[i];
        return blocks;
    }
}
