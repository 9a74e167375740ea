using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// Krewe's own: the pair of workers whose predicted TTFT and TPOT meet the request's SLOs at the least cost to everybody,
/// or an early refusal when no pair does. Per worker it predicts queue, restore or recomputation of the prefix, prefill
/// and decode steps; it prefills on the decode worker itself when a handoff would not pay. No constant here was fitted
/// to a trace: see each one's reason.
/// </summary>
/// <remarks>
/// <code>
/// ttft  = waited + queue + restore/pull + prefill(rest behind the hit)
/// tpot  = decode step with this request in it; the handoff's tail, which comes once, is spread over the output
/// price = work * arrivals per ms and worker * (queue + work)
/// cost  = ttft + price,  least among pairs that meet both SLOs
/// </code>
/// The price is what the work costs others: whoever arrives while the worker is busy with this queue waits that much
/// longer. It makes a prefix hit worth its saved work, not only its saved time, and vanishes when the cluster is idle.
/// </remarks>
public sealed class KrewePolicy : RoutePolicy
{
    /// <summary>Decode workers that are weighed against every prefill worker: the best few by predicted TPOT.</summary>
    private readonly ArrivalRate _arrivals = new();

    public override string Name => "krewe";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override RouteChoice Pick(RouteRequest request, RouteCandidates candidates)
    {
        var prefills = candidates.Prefills;
        var perWorkerMs = _arrivals.Observe(request.NowUs) / prefills.Length;
        var decode = BestDecode(request, candidates.Decodes);
        var best = default(Candidate);
        foreach (var worker in prefills)
        {
            var whole = worker.TakesWhole && worker.BlocksFor(request.ContextTokens) <= worker.TotalBlocks;
            Consider(ref best, request, worker, whole ? worker : decode, perWorkerMs);
        }

        foreach (var worker in candidates.Decodes)
        {
            if (worker.PrefillsLocally && worker.Role == WorkerRole.Decode)
                Consider(ref best, request, worker, worker, perWorkerMs);
        }

        var choice = best.Choice;
        if (!request.MayRefuse || !best.Misses) return choice;
        var phase = choice.TtftMs > request.TtftSloMs ? RoutePhase.Prefill : RoutePhase.Decode;
        return RouteChoice.Refuse(ErrorCode.Overloaded, phase, "no pair of workers meets the SLO") with
        {
            TtftMs = choice.TtftMs,
            TpotMs = choice.TpotMs,
        };
    }

    private static void Consider(
        ref Candidate best, RouteRequest request, RouteWorker prefill, RouteWorker decode, double arrivalsPerMs)
    {
        var plan = PrefillForecast.Of(request, prefill);
        var ttft = request.WaitedMs + plan.QueueMs + plan.WorkMs;
        var tpot = DecodeForecast.TpotMs(request, prefill, decode, plan);
        var misses = ttft > request.TtftSloMs || tpot > request.TpotSloMs;
        var cost = ttft + (plan.WorkMs * arrivalsPerMs * (plan.QueueMs + plan.WorkMs));
        // A pair that meets the SLO before one that does not; then the lower cost.
        if (best.Choice.Prefill is not null && (misses == best.Misses ? cost >= best.Choice.Cost : misses)) return;
        best = new Candidate(misses, new RouteChoice
        {
            Prefill = prefill,
            Decode = decode,
            HitTokens = plan.KnownTokens,
            RestoreTokens = plan.RestoreTokens,
            PullTokens = plan.PullTokens,
            PullFromSlot = plan.PullTokens > 0 ? request.Hits.BestSlot : null,
            TtftMs = ttft,
            TpotMs = tpot,
            Cost = cost,
            Rule = misses ? "least cost, though it misses the SLO" : "least cost within the SLO",
        });
    }

    /// <summary>The decode worker with room and the shortest step; without room, the most room.</summary>
    private static RouteWorker BestDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var (best, bestKey) = (workers[0], double.PositiveInfinity);
        foreach (var worker in workers)
        {
            var key = DecodeForecast.StepMs(request, worker) + DecodeForecast.WaitMs(request, worker);
            if (key < bestKey) (best, bestKey) = (worker, key);
        }

        return best;
    }

    private readonly record struct Candidate(bool Misses, RouteChoice Choice);
}
