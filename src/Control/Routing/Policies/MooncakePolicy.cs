using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// Mooncake's Algorithm 1 (FAST'25): least predicted TTFT = transfer + queue + prefill behind the prefix; a worker
/// whose prefix is short against the best one's pulls that, which copies hot prefixes; decode by least predicted TPOT;
/// early rejection when either misses its SLO.
/// </summary>
public sealed class MooncakePolicy : RoutePolicy
{
    /// <summary>
    /// kvcache_balancing_threshold, which the paper sets by hand: pull when the best prefix is more than twice as long.
    /// </summary>
    private const double BalancingThreshold = 2;

    public override string Name => "mooncake";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override RouteChoice Pick(RouteRequest request, RouteCandidates candidates)
    {
        var best = new RouteChoice { TtftMs = double.PositiveInfinity };
        foreach (var worker in candidates.Prefills)
        {
            var choice = Prefill(request, worker);
            if (choice.TtftMs < best.TtftMs) best = choice;
        }

        var prefill = best.Prefill!;
        var decode = candidates.Decodes[0];
        if (prefill.TakesWhole && prefill.BlocksFor(request.ContextTokens) <= prefill.TotalBlocks) decode = prefill;
        else
        {
            foreach (var worker in candidates.Decodes)
            {
                if (Tpot(request, worker) < Tpot(request, decode)) decode = worker;
            }
        }

        best = best with { Decode = decode, TpotMs = Tpot(request, decode), Rule = "least predicted TTFT" };
        var guessed = prefill.Steps.IsGuess || decode.Steps.IsGuess;
        var meets = best.TtftMs <= request.TtftSloMs && best.TpotMs <= request.TpotSloMs;
        if (!request.MayRefuse || guessed || meets) return best;
        var phase = best.TtftMs > request.TtftSloMs ? RoutePhase.Prefill : RoutePhase.Decode;
        return RouteChoice.Refuse(ErrorCode.Overloaded, phase, "rejected early") with
        {
            TtftMs = best.TtftMs,
            TpotMs = best.TpotMs,
        };
    }

    private static RouteChoice Prefill(RouteRequest request, RouteWorker worker)
    {
        var hits = request.Hits;
        var hit = hits[worker.Slot].Device;
        var pull = 0;
        if (worker.PullsPrefixes && hits.BestSlot != worker.Slot && hits.BestTokens > BalancingThreshold * hit)
            pull = hits.BestTokens - hit;
        var known = Math.Min(hit + pull, request.PrefillTokens - 1);
        var transfer = pull == 0
            ? 0 : worker.LinkLatencyMs + (pull * worker.KvBytesPerToken / worker.LinkBytesPerMs);
        return new RouteChoice
        {
            Prefill = worker,
            HitTokens = known,
            PullTokens = pull,
            PullFromSlot = pull > 0 ? hits.BestSlot : null,
            TtftMs = request.WaitedMs + transfer + worker.ReportedQueueMs
                + worker.Steps.PrefillMs(request.PrefillTokens - known, known, worker.StepBudgetTokens),
        };
    }

    private static double Tpot(RouteRequest request, RouteWorker worker) => worker.Steps.DecodeMs(
        worker.DecodingSequences + 1, worker.DecodingContextTokens + request.MeanContextTokens);
}
