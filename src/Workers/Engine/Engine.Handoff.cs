using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// The handoff as the engine sees it: source side by HandoffMachine, target side by the pull's one result.
/// </summary>
internal sealed partial class Engine
{
    private readonly Dictionary<SequenceKey, ParkedPuller> _parked = [];
    private readonly EndedHandoffs _endedHandoffs = new();

    private sealed record ParkedPuller(IPullerLink Link, BlockRuns Present, int Credit, TimeSpan WaitEnd);

    // ---- source ----

    private void AttachPuller(EngineCommand.PullerArrived arrived)
    {
        if (_sequences.TryGetValue(arrived.Key, out var sequence))
        {
            if (sequence.Source is null)
                arrived.Link.SendAbort(ErrorCode.HandoffRefused, "This worker decodes it itself.");
            else Attach(sequence, arrived.Link, arrived.Present);
            return;
        }

        if (_endedHandoffs.TryGet(arrived.Key, out var end))
        {
            arrived.Link.SendAbort(end.Code, end.Reason);
            return;
        }

        // The silo tells both workers at once and the target may be the faster one: its puller waits for our start.
        var parked = new ParkedPuller(arrived.Link, arrived.Present, 0, Now + _settings.PullerWaitLimit);
        if (!_parked.TryAdd(arrived.Key, parked))
            arrived.Link.SendAbort(ErrorCode.HandoffRefused, "Another link pulls this sequence already.");
    }

    private void AdoptParkedPuller(Sequence sequence)
    {
        if (!_parked.Remove(sequence.Key, out var parked)) return;
        Attach(sequence, parked.Link, parked.Present);
        if (parked.Credit > 0) Drive(sequence, new SourceEvent.CreditGranted(parked.Credit));
    }

    private void Attach(Sequence sequence, IPullerLink link, BlockRuns present)
    {
        var before = sequence.Puller;
        sequence.Puller ??= link;
        var (state, effects) = HandoffMachine.Apply(sequence.Source!, new SourceEvent.PullerArrived(present));
        sequence.Source = state;
        foreach (var effect in effects)
        {
            if (effect is not SourceEffect.RefusePuller refusal)
            {
                Perform(sequence, effect);
                continue;
            }

            sequence.Puller = before;
            link.SendAbort(ErrorCode.HandoffRefused, refusal.Reason);
            return;
        }

        RenewLease(sequence);
    }

    private void TakePullerSign(EngineCommand.PullerSign sign)
    {
        if (_parked.TryGetValue(sign.Key, out var parked) && parked.Link == sign.Link)
            _parked[sign.Key] = parked with { Credit = parked.Credit + sign.Credit };
        if (PulledBy(sign.Link, sign.Key) is not { Stage: not SequenceStage.Ending } sequence) return;
        RenewLease(sequence);
        if (sign.Credit > 0) Drive(sequence, new SourceEvent.CreditGranted(sign.Credit));
    }

    private void TakeCommit(EngineCommand.PullerCommitted committed)
    {
        if (PulledBy(committed.Link, committed.Key) is not { } sequence) return;
        if (sequence.Source!.Stage != HandoffStage.Frozen)
        {
            End(sequence, ErrorCode.HandoffCorrupt, "The target committed before it was sent everything.");
            return;
        }

        sequence.LeaseEnd = null;
        sequence.Stage = SequenceStage.Ending;
        Drive(sequence, new SourceEvent.CommitArrived());
    }

    private void LosePuller(EngineCommand.PullerLost lost)
    {
        if (_parked.TryGetValue(lost.Key, out var parked) && parked.Link == lost.Link) _parked.Remove(lost.Key);
        if (PulledBy(lost.Link, lost.Key) is { } sequence) End(sequence, lost.Code, lost.Reason);
    }

    private void EndSend(EngineCommand.SendEnded ended)
    {
        if (PulledBy(ended.Link, ended.Key) is { } sequence) Drive(sequence, new SourceEvent.SendEnded());
    }

    private Sequence? PulledBy(IPullerLink link, SequenceKey key) =>
        _sequences.TryGetValue(key, out var sequence) && sequence.Puller == link ? sequence : null;

    /// <summary>
    /// Before a step: the blocks that it completes may travel with it, layer by layer. Null when nobody follows.
    /// </summary>
    private StepProgress? BeginProgress(ReadOnlySpan<StepPart> parts)
    {
        StepProgress? progress = null;
        foreach (var part in parts)
        {
            var sequence = part.Sequence;
            if (sequence.Source?.Stage != HandoffStage.Copying) continue;
            progress ??= new StepProgress(_runner.Kv.Geometry.Layers);
            sequence.Progress = progress;
            var end = sequence.ComputedTokens + part.Rows;
            Drive(sequence, new SourceEvent.BlocksFilled(
                end == sequence.KnownTokens ? sequence.Source.Blocks : end / _kv.BlockTokens));
            sequence.Progress = null;
        }

        return progress;
    }

    /// <summary>Full blocks of a running prefill may travel; the growing one stays until prefill is done.</summary>
    private void OfferFilledBlocks(Sequence sequence)
    {
        if (sequence.Source is not null)
            Drive(sequence, new SourceEvent.BlocksFilled(sequence.ComputedTokens / _kv.BlockTokens));
    }

    /// <summary>Prefill is done: everything may travel, and from now on the blocks are held under a lease.</summary>
    private void HoldForPuller(Sequence sequence, TokenLogprobs? logprobs)
    {
        _running.Remove(sequence);
        sequence.Stage = SequenceStage.Holding;
        sequence.FirstLogprobs = logprobs;
        RenewLease(sequence);
        Drive(sequence, new SourceEvent.PrefillEnded());
    }

    private void EndSource(Sequence sequence, ErrorCode? code, string reason)
    {
        _endedHandoffs.Add(sequence.Key, code, reason);
        Drive(sequence, new SourceEvent.Ended(code, reason));
    }

    /// <summary>
    /// A prefill part that was not even begun: its puller is told too, whether it waits already or comes later.
    /// </summary>
    private void RefuseSource(SequenceKey key, ErrorCode? code, string reason)
    {
        _endedHandoffs.Add(key, code, reason);
        if (_parked.Remove(key, out var parked)) parked.Link.SendAbort(code, reason);
    }

    private void Drive(Sequence sequence, SourceEvent happened)
    {
        var (state, effects) = HandoffMachine.Apply(sequence.Source!, happened);
        sequence.Source = state;
        foreach (var effect in effects) Perform(sequence, effect);
    }

    private void Perform(Sequence sequence, SourceEffect effect)
    {
        switch (effect)
        {
            case SourceEffect.SendBlocks send:
                var blocks = new BlockId[send.Run.Count];
                for (var i = 0; i < blocks.Length; i++) blocks[i] = sequence.Blocks[send.Run.First + i];
                sequence.Puller!.SendBlocks(send.Run, blocks, sequence.Progress);
                break;
            case SourceEffect.SendDone: sequence.Puller!.SendDone(DoneMessage(sequence)); break;
            case SourceEffect.SendCommitted: sequence.Puller!.SendCommitted(); break;
            case SourceEffect.SendAbort abort: sequence.Puller?.SendAbort(abort.Code, abort.Reason); break;
            case SourceEffect.Free: Release(sequence); break;
            default: throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a deed.");
        }
    }

    private static PrefillDone DoneMessage(Sequence sequence) => new()
    {
        ComputedTokens = (uint)sequence.ComputedTokens,
        FirstIndex = (uint)(sequence.OutputCount - 1),
        FirstToken = (uint)sequence.Tokens[^1],
        Logprobs = sequence.FirstLogprobs,
    };

    // ---- leases ----

    private void RenewLease(Sequence sequence) => sequence.LeaseEnd = Now + sequence.LeaseLife;

    private void ExpireLeases()
    {
        if (_parked.Count > 0) ExpireParked();
        List<Sequence>? expired = null;
        foreach (var sequence in _sequences.Values)
        {
            if (sequence.LeaseEnd <= Now) (expired ??= []).Add(sequence);
        }

        if (expired is null) return;
        foreach (var sequence in expired)
        {
            Fail(sequence, ErrorCode.LeaseExpired,
                $"Nobody pulled the prefilled blocks for {sequence.LeaseLife.TotalMilliseconds} ms; they were freed.");
        }
    }

    private void ExpireParked()
    {
        foreach (var (key, parked) in _parked.Where(pair => pair.Value.WaitEnd <= Now).ToArray())
        {
            _parked.Remove(key);
            parked.Link.SendAbort(ErrorCode.HandoffTimeout, $"{key} did not start here in time.");
        }
    }

    private IEnumerable<TimeSpan> Deadlines() =>
        _sequences.Values.Where(sequence => sequence.LeaseEnd is not null).Select(sequence => sequence.LeaseEnd!.Value)
            .Concat(_parked.Values.Select(parked => parked.WaitEnd))
            .Concat(_outgoing.Values.Select(migration => migration.LeaseEnd));

    // ---- target ----

    private void StartPull(Sequence sequence)
    {
        sequence.Stage = SequenceStage.Receiving;
        var blocks = new BlockId[sequence.Blocks.Count];
        for (var i = 0; i < blocks.Length; i++) blocks[i] = sequence.Blocks[i];
        var request = new PullRequest(
            sequence.Key, sequence.PullSource!, blocks, sequence.PresentBlocks, sequence.KnownTokens,
            sequence.OutputCount, sequence.LeaseLife);
        sequence.ActivePull = _pulls!.Start(
            request, result => Post(new EngineCommand.PullEnded(sequence.Key, result, _time.GetUtcNow())));
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.HandoffStarted);
    }

    private void EndPull(SequenceKey key, PullResult result)
    {
        var sequence = _sequences[key];
        sequence.ActivePull = null;
        if (sequence.Stage == SequenceStage.Ending) Release(sequence);
        else if (result is PullResult.Committed committed) TakeOver(sequence, committed);
        else if (result is PullResult.Aborted aborted) End(sequence, aborted.Code, aborted.Reason);
    }

    /// <summary>
    /// The sequence is ours. The first token is told again although the source told it: whichever link is faster, the
    /// owner never sees a gap (docs/adr/0003).
    /// </summary>
    private void TakeOver(Sequence sequence, PullResult.Committed result)
    {
        // :: Step 6
        sequence.ComputedTokens = sequence.KnownTokens;
        sequence.Pulls = false;
        sequence.WasPulled = sequence.PrefillReported = true;
        _kv.InsertFull(sequence);
        sequence.Stage = SequenceStage.Running;
        _running.Add(sequence);
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.HandoffCommitted, change =>
        {
            change.BlocksMoved = (uint)result.BlocksMoved;
            change.BytesMoved = (ulong)result.BytesMoved;
        });
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.DecodeStarted);
        TakeToken(sequence, new SampledToken(result.FirstToken, result.Logprobs));
    }
}
