using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using SequenceKey = Krewe.Abstractions.SequenceKey;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers;

/// <summary>The life of a sequence on this worker: accepted, failed, aborted, released.</summary>
internal sealed partial class Engine
{
    private void StartSequence(ISequenceOwner owner, StartSequence start)
    {
        var key = start.Key.FromWire();
        if (_sequences.ContainsKey(key))
        {
            LogDuplicate(_logger, key);
            return;
        }

        _settings.Watch?.Begun(start);
        if (Refusal(start) is { } refusal)
        {
            Refuse(owner, key, refusal.Code, refusal.Message);
            return;
        }

        if (!Fence(key))
        {
            LogStale(_logger, key);
            RefuseSource(key, null, "A newer attempt runs here.");
            _outbox.Tell(owner, key, SequenceEventKind.Released);
            return;
        }

        try
        {
            var sampling = TokenSampler.Read(start.Sampling, _runner.VocabularySize);
            var sequence = new Sequence(start, sampling, owner, _arrivals++, _settings, _kv.BlockTokens);
            if (start.Part == SequencePart.Migrate) StartMigration(owner, sequence, start);
            else Accept(sequence);
        }
        catch (KreweException e)
        {
            Refuse(owner, key, e.Code, e.Message);
        }
    }

    private void Accept(Sequence sequence)
    {
        var (owner, key) = (sequence.Owner, sequence.Key);
        sequence.Pulls = sequence.Part == SequencePart.Decode;
        (sequence.ArrivedMs, sequence.ExpectedMs) = ((long)Now.TotalMilliseconds, ExpectedPrefillMs(sequence));
        _sequences.Add(key, sequence);
        _waiting.Add(sequence);
        _outbox.Tell(owner, key, SequenceEventKind.Accepted);
        if (sequence.Source is not null) AdoptParkedPuller(sequence);
        HoldQueued();
    }

    /// <summary>
    /// Ends this stream's older epochs here: nothing of theirs is wanted any more. False when a newer one is here
    /// already: then the start itself is stale.
    /// </summary>
    private bool Fence(SequenceKey key)
    {
        foreach (var other in _sequences.Values.ToArray())
        {
            if (other.Key.RequestId != key.RequestId || other.Key.Choice != key.Choice) continue;
            if (other.Key.Epoch > key.Epoch) return false;
            End(other, null, "A newer attempt began.");
        }

        return true;
    }

    private (ErrorCode Code, string Message)? Refusal(StartSequence start)
    {
        if (_draining) return (ErrorCode.Draining, "The worker takes no new work; it is being stopped.");
        if (start.Key is null || start.Key.RequestId.Length == 0)
            return (ErrorCode.InvalidRequest, "A start without a request id.");
        if (start.Sampling is null) return (ErrorCode.InvalidRequest, "A start without sampling parameters.");
        if (RoleRefusal(start) is { } role) return (ErrorCode.InvalidRequest, role);
        var known = start.PromptTokens.Count + start.OutputTokens.Count;
        if (start.PromptTokens.Count == 0) return (ErrorCode.InvalidRequest, "The prompt has no tokens.");
        if (start.LeaseMs == 0 && start.Part != SequencePart.Whole)
            return (ErrorCode.InvalidRequest, "A handoff without a lease: lease_ms is 0.");
        if (start.MaxOutputTokens <= start.OutputTokens.Count)
        {
            return (ErrorCode.InvalidRequest,
                $"max_output_tokens is {start.MaxOutputTokens}, {start.OutputTokens.Count} are there already.");
        }

        foreach (var token in start.PromptTokens.Concat(start.OutputTokens).Concat(start.StopTokens))
        {
            if (token < _runner.VocabularySize) continue;
            return (ErrorCode.InvalidRequest,
                $"Token {token} is not below the vocabulary's {_runner.VocabularySize}.");
        }

        if (known >= _runner.MaxContextTokens)
        {
            return (ErrorCode.ContextLengthExceeded,
                $"{known} tokens leave no room for another in the model's context of {_runner.MaxContextTokens}.");
        }

        return _kv.BlocksFor(known) > _kv.TotalBlocks
            ? (ErrorCode.KvPoolTooSmall, TooSmall(known))
            : null;
    }

    private string? RoleRefusal(StartSequence start)
    {
        var taken = (start.Part, _role) switch
        {
            (SequencePart.Prefill, WorkerRole.Prefill or WorkerRole.Mixed) => true,
            (SequencePart.Decode, WorkerRole.Decode or WorkerRole.Mixed) => _pulls is not null,
            (SequencePart.Whole, WorkerRole.Mixed) => true,
            (SequencePart.Migrate, WorkerRole.Decode or WorkerRole.Mixed) => _migrations is not null,
            _ => false,
        };
        if (!taken) return $"A {_role} worker does not take part {start.Part}.";
        if (start.Part is not (SequencePart.Decode or SequencePart.Migrate)) return null;
        if (start.Source is not { Host.Length: > 0, Port: > 0 and <= ushort.MaxValue })
            return $"A {start.Part} part without an address to pull from: {start.Source}.";
        if (start.Part != SequencePart.Migrate) return null;
        if (start.SourceEpoch >= start.Key.Epoch)
            return $"source_epoch {start.SourceEpoch} is not older than epoch {start.Key.Epoch}.";
        return _sequences.ContainsKey(start.Key.FromWire() with { Epoch = (int)start.SourceEpoch })
            ? "It runs here already: a sequence migrates to another worker."
            : null;
    }

    private string TooSmall(int tokens) =>
        $"{tokens} tokens need {_kv.BlocksFor(tokens)} KV blocks of {_kv.BlockTokens}; the worker has "
        + $"{_kv.TotalBlocks} in all. Give it more KV memory or shorten the request.";

    private void AbortSequence(ISequenceOwner owner, SequenceKey key, string reason)
    {
        if (_sequences.TryGetValue(key, out var sequence) && sequence.Owner == owner)
        {
            End(sequence, null, reason);
            return;
        }

        if (sequence is null) RefuseSource(key, null, reason);
        _outbox.Tell(owner, key, SequenceEventKind.Released);
    }

    private void DropOwner(ISequenceOwner owner)
    {
        foreach (var sequence in _sequences.Values.Where(sequence => sequence.Owner == owner).ToArray())
            End(sequence, null, "The link to the owning silo is gone.");
    }

    private void Fail(Sequence sequence, ErrorCode code, string message) => End(sequence, code, message);

    /// <summary>
    /// The sequence computes no more. <paramref name="code"/> null: it finished or nobody wants it. Blocks go back now,
    /// or when the last transfer that touches them has ended.
    /// </summary>
    private void End(Sequence sequence, ErrorCode? code, string reason)
    {
        if (sequence.Stage == SequenceStage.Ending) return;
        CallBack(sequence, reason);
        if (code is { } failure)
        {
            LogFailed(_logger, sequence.Key, failure, reason);
            TellFailed(sequence.Owner, sequence.Key, failure, reason);
        }

        _waiting.Remove(sequence);
        _running.Remove(sequence);
        sequence.Stage = SequenceStage.Ending;
        sequence.LeaseEnd = null;
        if (sequence.Source is not null) EndSource(sequence, code, reason);
        else if (sequence.ActivePull is { } pull) pull.Cancel(reason);
        else Release(sequence);
    }

    private void Release(Sequence sequence)
    {
        if (sequence.Restore is { } restore)
        {
            restore.IsAbandoned = true;
            return;
        }

        // A fetch still writes: it releases when it has ended.
        if (sequence.ActivePull is { } fetch)
        {
            fetch.Cancel("The sequence was ended.");
            return;
        }

        _kv.Release(sequence);
        _sequences.Remove(sequence.Key);
        _unchecked = true;
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.Released);
    }

    private void Refuse(ISequenceOwner owner, SequenceKey key, ErrorCode code, string message)
    {
        TellFailed(owner, key, code, message);
        RefuseSource(key, code, message);
        _outbox.Tell(owner, key, SequenceEventKind.Released);
    }

    private void TellFailed(ISequenceOwner owner, SequenceKey key, ErrorCode code, string message) =>
        _outbox.Tell(owner, key, SequenceEventKind.Failed, change =>
        {
            change.ErrorCode = code.ToString();
            change.Message = message;
        });
}
