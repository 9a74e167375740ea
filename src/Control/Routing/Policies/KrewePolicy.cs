using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// Krewe's own: among the pairs of workers that are predicted to meet the request's SLOs, the one that adds the least
/// delay to everybody, itself included; an early refusal when there is none. No constant in it was fitted to a trace.
/// </summary>
/// <remarks>
/// With B sequences decoding beside it on each side, N output tokens and arrivals a ms and worker of a:
/// <code>
/// ttft   = waited + queue + load + prefill of the rest + step mates    PrefillForecast: load or recompute, by tier
/// tpot   = step with it + (handoff tail + wait for room) / N    DecodeForecast
/// own    = ttft + N * tpot
/// others = work * a * (queue + work)     whoever arrives while the prefill worker has this queue waits that longer
///        + work * B(prefill)             its decodes stand still meanwhile: why a local prefill may not pay
///        + N * burden * B(decode)        every step there is longer by this sequence
/// </code>
/// The work's price makes a prefix hit worth its saved work, not only its saved time, and a handoff worth its stalls
/// avoided; both vanish when the cluster is idle.
/// </remarks>
public sealed class KrewePolicy : RoutePolicy
{
    /// <summary>
    /// A limit is met with a tenth of the prediction in hand: step-time models err by up to about that (Vidur's 9 %).
    /// </summary>
    private const double Margin = 0.1;

    private readonly OfferedLoad _load = new();

    public override string Name => "krewe";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override RouteChoice Pick(RouteRequest request, RouteCandidates candidates)
    {
        var prefills = candidates.Prefills;
        _load.Pass(request.NowUs);
        var arrivals = new Arrivals(_load.RequestsPerMs / prefills.Length, _load.TokensPerMs / prefills.Length);
        var decode = BestDecode(request, candidates.Decodes);
        var best = new Offer(true, 0, default);
        foreach (var worker in prefills)
        {
            var whole = worker.TakesWhole && worker.BlocksFor(request.ContextTokens) <= worker.TotalBlocks;
            Consider(ref best, request, worker, whole ? worker : decode.Worker, arrivals, whole ? null : decode);
        }

        foreach (var worker in candidates.Decodes)
        {
            if (worker is { PrefillsLocally: true, TakesPrefill: false })
                Consider(ref best, request, worker, worker, arrivals, null);
        }

        var choice = best.Choice;
        if (!best.Misses || !request.MayRefuse || !IsHopeless(request, best, prefills.Length))
        {
            _load.Count(request.PrefillTokens - choice.HitTokens, best.WorkMs);
            return choice;
        }

        var phase = choice.TtftMs > request.TtftSloMs ? RoutePhase.Prefill : RoutePhase.Decode;
        return RouteChoice.Refuse(ErrorCode.Overloaded, phase, "no pair of workers meets the SLO") with
        {
            TtftMs = choice.TtftMs,
            TpotMs = choice.TpotMs,
        };
    }

    /// <summary>
    /// Late because of others, so that it would be late and make others late; or late even alone, and the pool has no
    /// time to give away. Never on guessed costs.
    /// </summary>
    private bool IsHopeless(RouteRequest request, in Offer offer, int prefillWorkers)
    {
        var (prefill, decode) = (offer.Choice.Prefill!, offer.Choice.Decode!);
        if (prefill.Steps.IsGuess || decode.Steps.IsGuess) return false;
        var alone = request.WaitedMs + ((1 + Margin) * offer.WorkMs) <= request.TtftSloMs
            && decode.Steps.DecodeMs(1, request.MeanContextTokens) <= request.TpotSloMs;
        return alone || _load.BusyWorkersWith(offer.WorkMs) > prefillWorkers;
    }

    /// <param name="shared">The decode side, when it is the same for many prefill workers.</param>
    private static void Consider(
        ref Offer best, RouteRequest request, RouteWorker prefill, RouteWorker decode, Arrivals arrivals,
        DecodeSide? shared)
    {
        var side = shared ?? Decode(request, decode);
        var plan = PrefillForecast.Of(request, prefill, arrivals.TokensPerMs);
        var ttft = request.WaitedMs + plan.TtftMs;
        var tail = DecodeForecast.HandoffTailMs(prefill, decode, request.PrefillTokens - plan.KnownTokens);
        var tpot = side.StepMs + ((tail + side.WaitMs) / side.Tokens);
        var misses = ttft + (Margin * plan.TtftMs) > request.TtftSloMs || tpot > request.TpotSloMs;
        var stalled = prefill.TakesDecode ? prefill.DecodingSequences : 0;
        var cost = ttft + (side.Tokens * tpot)
            + (plan.WorkMs * ((arrivals.RequestsPerMs * (plan.QueueMs + plan.WorkMs)) + stalled))
            + side.OthersMs;
        // A pair that meets the SLOs before one that does not; then the least delay.
        if (best.Choice.Prefill is not null && (misses == best.Misses ? cost >= best.Choice.Cost : misses)) return;
        best = new Offer(misses, plan.WorkMs, new RouteChoice
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
            Rule = misses ? "least delay added, but outside the SLO" : "least delay added within the SLO",
        });
    }

    private static DecodeSide BestDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var best = Decode(request, workers[0]);
        foreach (var worker in workers[1..])
        {
            var side = Decode(request, worker);
            if (side.CostMs < best.CostMs) best = side;
        }

        return best;
    }

    private static DecodeSide Decode(RouteRequest request, RouteWorker worker)
    {
        var tokens = DecodeForecast.OutputTokens(request);
        return new DecodeSide(
            worker, tokens, DecodeForecast.StepMs(request, worker), DecodeForecast.WaitMs(request, worker),
            tokens * DecodeForecast.BurdenMs(request, worker) * worker.DecodingSequences);
    }

    /// <summary>A decode worker's half of a pair's cost.</summary>
    private readonly record struct DecodeSide(
        RouteWorker Worker, int Tokens, double StepMs, double WaitMs, double OthersMs)
    {
        public double CostMs => (Tokens * StepMs) + WaitMs + OthersMs;
    }

    /// <summary>What comes to one prefill worker.</summary>
    private readonly record struct Arrivals(double RequestsPerMs, double TokensPerMs);

    private readonly record struct Offer(bool Misses, double WorkMs, RouteChoice Choice);
}
