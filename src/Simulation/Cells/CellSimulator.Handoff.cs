namespace Krewe.Simulation;

/// <summary>
/// From prefill to decode, as the workers do it: the target reserves first, full blocks travel while prefill still
/// runs, the rest after it; the source holds its blocks until the target has all.
/// </summary>
public sealed partial class CellSimulator
{
    /// <summary>Sends what is computed and not yet sent, once the target has reserved.</summary>
    private void SendFilledBlocks(CellRequest request)
    {
        var source = request.Prefill;
        var target = request.Decode;
        if (target.Stage != PartStage.Receiving) return;
        var ready = source.Stage == PartStage.Holding
            ? BlocksFor(source.ComputedTokens)
            : source.ComputedTokens / _options.BlockTokens;
        if (ready > target.SentBlocks)
        {
            var bytes = (ready - target.SentBlocks) * _blockBytes;
            target.SentBlocks = ready;
            _network.Add(request.Slot, bytes);
        }

        CommitWhenComplete(request);
    }

    private void Hold(CellRequest request)
    {
        request.Prefill.Stage = PartStage.Holding;
        SendFilledBlocks(request);
    }

    private void CommitWhenComplete(CellRequest request)
    {
        if (request.Prefill.Stage != PartStage.Holding || request.Decode.Stage != PartStage.Receiving) return;
        if (_network.IsIdle(request.Slot))
            _events.Add(_events.NowNs + _options.HandoffLatencyNs, CommitKind, request.Slot, request.Attempt);
    }

    private void Commit(CellRequest request)
    {
        var source = request.Prefill;
        source.Worker.Pool.Release(source.Blocks);
        source.Stage = PartStage.None;
        Wake(source.Worker);

        var target = request.Decode;
        target.Worker.Receiving--;
        target.Stage = PartStage.Running;
        target.ComputedTokens = source.ComputedTokens;
        target.Worker.ContextTokens += source.KnownTokens - target.KnownTokens;
        target.KnownTokens = source.KnownTokens;
        InsertFull(target);
        target.Worker.Lanes[^1].Enter(target);
        target.Worker.Lanes[^1].Entering.Add(target);
        Wake(target.Worker);
    }

    // What a worker reports of prompts that it has yet to compute.
    private void CountPending(CellPart part)
    {
        var hit = part.Worker.Cache.Peek(Matchable(part)).Blocks * _options.BlockTokens;
        part.PendingTokens = part.KnownTokens - hit;
        part.PendingMs = part.Worker.Route.Steps.PrefillMs(
            part.PendingTokens, hit, part.Worker.Route.StepBudgetTokens);
        part.Worker.PendingTokens += part.PendingTokens;
        part.Worker.PendingMs += part.PendingMs;
    }

    private static void Computed(CellPart part, int rows)
    {
        if (part.PendingTokens == 0) return;
        var tokens = Math.Min(rows, part.PendingTokens);
        var ms = part.PendingMs * tokens / part.PendingTokens;
        part.PendingTokens -= tokens;
        part.PendingMs -= ms;
        part.Worker.PendingTokens -= tokens;
        part.Worker.PendingMs -= ms;
    }

    private static void SettlePending(CellPart part) => Computed(part, part.PendingTokens);

    private static void CountDecoding(CellPart part)
    {
        part.Decodes = true;
        part.Worker.DecodingParts++;
        part.Worker.ContextTokens += part.KnownTokens;
    }

    private static void UncountDecoding(CellPart part)
    {
        if (!part.Decodes) return;
        part.Decodes = false;
        part.Worker.DecodingParts--;
        part.Worker.ContextTokens -= part.KnownTokens;
    }
}
