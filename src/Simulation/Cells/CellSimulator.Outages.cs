namespace Krewe.Simulation;

/// <summary>
/// Workers that go and come. What a lost worker held is gone; each of its requests goes on elsewhere by computing its
/// prompt and the tokens it has again, as the cluster does (ADR 0004).
/// </summary>
public sealed partial class CellSimulator
{
    /// <summary>With nobody to go on, a request looks again each second, for so many seconds.</summary>
    private const int RefusalsMax = 20;

    private const long RetryNs = 1_000_000_000;

    private void Change(WorkerOutage outage)
    {
        var worker = _workers[outage.Worker];
        if (worker.IsUp == outage.Up) return;
        if (outage.Up)
        {
            worker.Restart();
            _router.Changed(worker);
            return;
        }

        worker.IsUp = false;
        foreach (var lane in worker.Lanes)
        {
            lane.Version++;
            lane.Busy = false;
            lane.Decoding.DropStep();
        }

        _router.Changed(worker);
        foreach (var request in _requests)
        {
            if (!IsOn(request.Prefill, worker) && !IsOn(request.Decode, worker)) continue;
            _network.Close(request.Slot);
            Detach(request.Prefill);
            Detach(request.Decode);
            Continue(request);
        }

        foreach (var lane in worker.Lanes) lane.Step.Clear();
    }

    private void Continue(CellRequest request)
    {
        request.Continues = true;
        if (TryDispatch(request)) return;
        if (request.Refusals++ < RefusalsMax)
        {
            // The attempt's number makes an older retry void.
            request.Attempt++;
            _events.Add(_events.NowNs + RetryNs, RetryKind, request.Slot, request.Attempt);
            return;
        }

        _recorder.Reject(request);
        Free(request);
    }

    private static bool IsOn(CellPart part, CellWorker worker) => part.Stage != PartStage.None && part.Worker == worker;

    /// <summary>Takes a part off its worker, whatever it is doing there.</summary>
    private void Detach(CellPart part)
    {
        if (part.Stage == PartStage.None) return;
        var worker = part.Worker;
        if (part.Stage == PartStage.Waiting) worker.Waiting.Remove(part);
        if (part.Stage == PartStage.Receiving) worker.Receiving--;
        foreach (var lane in worker.Lanes) lane.Remove(part);
        part.Rows = 0;
        part.Request.SampledTokens = Math.Max(part.Request.SampledTokens, part.SampledTokens);
        worker.Pool.Release(part.Blocks);
        SettlePending(part);
        UncountDecoding(part);
        part.Stage = PartStage.None;
        if (worker.IsUp) Wake(worker);
    }
}
