using Krewe.Abstractions;
using Krewe.Control.Migration;

namespace Krewe.Simulation.Faults;

/// <summary>The engine: waiting for blocks, prefill in chunks, one token a step, preemption by recompute.</summary>
internal sealed partial class SimulatedWorker
{
    public void Start(StartCommand start)
    {
        if (_sequences.ContainsKey(start.Key)) return;
        var sequence = new WorkerSequence(start, this);
        if (start.Part == SequencePart.Migrate)
        {
            StartMove(sequence);
            return;
        }

        _sequences.Add(start.Key, sequence);
        Report(sequence, RequestReportKind.Accepted);
        if (start.Part == SequencePart.Prefill) BeginSource(sequence);
        Admit(sequence);
    }

    public void Abort(SequenceKey key)
    {
        if (_sequences.TryGetValue(key, out var sequence)) Drop(sequence, "aborted by its owner");
        else Tell(silo => silo.Report(key.RequestId, Released(key)));
    }

    private void Drop(WorkerSequence sequence, string reason)
    {
        if (world.Defect == FaultDefect.WorkerKeepsAborted && sequence.Start.Part != SequencePart.Prefill)
        {
            sequence.Alive = false;
            return;
        }

        if (sequence.Source is not null) EndSource(sequence, null, reason);
        else if (sequence.Target is { Stage: not Krewe.Control.Handoff.HandoffStage.Committed })
            EndTarget(sequence, null, reason);
        else if (sequence.Arriving is { Stage: not MigrationStage.Committed }) EndArrival(sequence, null, reason);
        else if (sequence.Move is not { State.Stage: MigrationStage.Committed }) Release(sequence);
    }

    private void Admit(WorkerSequence sequence)
    {
        if (!sequence.Alive || !sequence.Waiting || IsStopped(sequence)) return;
        if (!Pool.TryGrow(sequence.Table, BlocksFor(sequence.Tokens.Count))) return;
        sequence.Waiting = false;
        sequence.Computed = 0;
        if (sequence.Start.Part == SequencePart.Decode && sequence.Target is null) BeginTarget(sequence);
        else if (!Restore(sequence)) Next(sequence, Prefill);
    }

    private void Prefill(WorkerSequence sequence)
    {
        if (!sequence.Alive || sequence.Waiting) return;
        if (!sequence.PrefillReported)
        {
            sequence.PrefillReported = true;
            Report(sequence, RequestReportKind.PrefillStarted);
        }

        var end = Math.Min(sequence.Tokens.Count, sequence.Computed + ChunkTokens);
        while (sequence.Computed < end) Write(sequence);
        if (sequence.Computed < sequence.Tokens.Count)
        {
            BlocksFilled(sequence, sequence.Computed / FaultWorld.BlockTokens);
            Grew(sequence);
            Next(sequence, Prefill);
            return;
        }

        Report(sequence, RequestReportKind.PrefillFinished);
        Sample(sequence);
        if (sequence.Source is not null)
        {
            if (sequence.IsDone) EndSource(sequence, null, "the first token ended the stream");
            else PrefillEnded(sequence);
            return;
        }

        if (sequence.Alive) Report(sequence, RequestReportKind.DecodeStarted);
        Continue(sequence);
    }

    /// <summary>After a sample: the next one, or the end.</summary>
    private void Continue(WorkerSequence sequence)
    {
        if (sequence.IsDone)
        {
            Release(sequence);
            return;
        }

        Grew(sequence);
        Next(sequence, Decode);
    }

    /// <summary>Its next step, unless a migration stops it before that.</summary>
    private void Next(WorkerSequence sequence, Action<WorkerSequence> step)
    {
        if (IsStopped(sequence)) return;
        var turn = sequence.Turn;
        Local(StepNs, () =>
        {
            if (sequence.Turn == turn) step(sequence);
        });
    }

    private bool IsStopped(WorkerSequence sequence) =>
        sequence.IsFrozen && world.Defect != FaultDefect.FrozenSourceComputes;

    private void Decode(WorkerSequence sequence)
    {
        if (!sequence.Alive || sequence.Waiting) return;
        if (!Pool.TryGrow(sequence.Table, BlocksFor(sequence.Tokens.Count)))
        {
            // Preempted by itself: tokens stay, KV is restored or computed again when there is room.
            CallBack(sequence, "preempted");
            Spill(sequence);
            Pool.Release(sequence.Table);
            sequence.Waiting = true;
            AdmitWaiting();
            return;
        }

        Write(sequence);
        Sample(sequence);
        Continue(sequence);
    }

    /// <summary>Writes the KV of the next token that has none.</summary>
    private void Write(WorkerSequence sequence)
    {
        var position = sequence.Computed++;
        ref var content = ref _contents[sequence.Table[position / FaultWorld.BlockTokens].Value];
        content = ReferenceStream.Append(content, position, FaultWorld.BlockTokens, sequence.Tokens[position]);
    }

    private void Sample(WorkerSequence sequence)
    {
        if (sequence.IsFrozen) throw new FaultViolationException($"{sequence.Start.Key} samples while it is frozen.");
        var contents = new ulong[BlocksFor(sequence.Computed)];
        for (var i = 0; i < contents.Length; i++) contents[i] = _contents[sequence.Table[i].Value];
        var index = sequence.OutputTokens;
        var token = ReferenceStream.Next(contents);
        sequence.Tokens.Add(token);
        SendTokens(sequence, index, [token]);
    }

    private void SendTokens(WorkerSequence sequence, int firstIndex, int[] tokens)
    {
        var finished = sequence.IsDone;
        Tell(silo => silo.TakeTokens(sequence.Start.Key, firstIndex, tokens, finished));
    }

    private void Release(WorkerSequence sequence)
    {
        CallBack(sequence, "it has ended here");
        sequence.Alive = false;
        Spill(sequence);
        Pool.Release(sequence.Table);
        _sequences.Remove(sequence.Start.Key);
        Tell(silo => silo.Report(sequence.Start.Key.RequestId, Released(sequence.Start.Key)));
        AdmitWaiting();
    }

    private void AdmitWaiting()
    {
        foreach (var waiting in _sequences.Values.Where(s => s.Waiting).ToList()) Local(StepNs, () => Admit(waiting));
    }

    private RequestReport Released(SequenceKey key) => new()
    {
        Kind = RequestReportKind.Released,
        Epoch = key.Epoch,
        Worker = Identity,
    };

    private static int BlocksFor(int tokens) => (tokens + FaultWorld.BlockTokens - 1) / FaultWorld.BlockTokens;
}
