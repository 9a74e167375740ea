namespace Krewe.Simulation;

/// <summary>Collects outcomes and sums them up.</summary>
internal sealed class CellRecorder(int requests)
{
    private readonly CellOutcome[] _outcomes = new CellOutcome[requests];
    private int _ended;

    public int Ended => Volatile.Read(ref _ended);

    public void Finish(CellRequest request, long nowNs) => Add(request, new CellOutcome(
        request.FirstTokenNs - request.ArrivalNs, nowNs - request.ArrivalNs, request.OutputTokens,
        request.PrefixHitTokens, request.Preemptions));

    public void Reject(CellRequest request) => Add(request, default);

    public CellReport Build(
        CellOptions options, Trace trace, List<CellWorker> workers, CellNetwork network, IStepCost cost, long events,
        long nowNs)
    {
        var served = Array.FindAll(_outcomes, o => !o.Rejected);
        var seconds = Math.Max(1e-9, nowNs / 1e9);
        long prompt = 0, hits = 0;
        for (var i = 0; i < _outcomes.Length; i++)
        {
            if (_outcomes[i].Rejected) continue;
            prompt += trace.Requests[i].PromptTokens;
            hits += _outcomes[i].HitTokens;
        }

        double Share(Predicate<CellOutcome> met) =>
            (double)_outcomes.Count(o => !o.Rejected && met(o)) / Math.Max(1, _outcomes.Length);
        double Busy(bool decode) => workers
            .Where(w => options.Mode != CellMode.Disagg || decode == w.Index >= options.PrefillWorkers)
            .Select(w => w.Lanes[decode ? ^1 : 0].BusyNs / 1e9 / seconds).DefaultIfEmpty().Average();
        return new CellReport
        {
            Trace = trace.Name,
            Policy = options.Policy,
            Mode = options.Mode,
            Costs = cost.Source,
            PrefillWorkers = options.PrefillWorkers,
            DecodeWorkers = options.DecodeWorkers,
            Gpus = options.Gpus,
            Seed = options.Seed,
            Slo = options.Slo,
            Requests = _outcomes.Length,
            Rejected = _outcomes.Length - served.Length,
            RatePerSecond = options.ClosedLoopClients is null ? trace.RatePerSecond : _outcomes.Length / seconds,
            Attainment = Share(o => o.Meets(options.Slo)),
            TtftAttainment = Share(o => o.TtftSeconds <= options.Slo.TtftSeconds),
            TpotAttainment = Share(o => o.TpotSeconds <= options.Slo.TpotSeconds),
            TtftMs = Percentiles.Of([.. served.Select(o => 1000 * o.TtftSeconds)]),
            TpotMs = Percentiles.Of([.. served.Where(o => o.OutputTokens > 1).Select(o => 1000 * o.TpotSeconds)]),
            TotalMs = Percentiles.Of([.. served.Select(o => o.TotalNs / 1e6)]),
            HitRate = prompt == 0 ? 0 : (double)hits / prompt,
            Preemptions = served.Sum(o => o.Preemptions),
            OutputTokensPerSecond = served.Sum(o => (long)o.OutputTokens) / seconds,
            PrefillBusy = Busy(false),
            DecodeBusy = Busy(true),
            CarriedBytes = network.CarriedBytes,
            VirtualSeconds = seconds,
            Events = events,
            Steps = workers.Sum(w => w.Lanes.Sum(l => l.Steps)),
            Outcomes = _outcomes,
        };
    }

    private void Add(CellRequest request, CellOutcome outcome)
    {
        _outcomes[request.Index] = outcome;
        Volatile.Write(ref _ended, _ended + 1);
    }
}
