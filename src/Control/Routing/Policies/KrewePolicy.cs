using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// Krewe's own: among the pairs of workers that are predicted to meet the request's SLOs, the one that adds the least
/// delay to everybody, itself included; an early refusal when there is none. Where its constants come from:
/// docs/ROUTING.md.
/// </summary>
/// <remarks>
/// With B sequences decoding beside it on each side, N output tokens and arrivals a ms and worker of a:
/// <code>
/// ttft  = waited + queue + load + prefill of the rest + step mates     PrefillForecast: load or recompute, by tier
/// tpot  = step with it + (handoff tail + wait for room) / N            DecodeForecast; where it also prefills, steps
///                                                                      share the time with the prompts that come
/// first   = ttft                        its own wait for the first token
///         + work a (queue + work)       whoever comes while the prefill worker has this queue waits that longer
/// further = N tpot                      its own further tokens
///         + work B(prefill worker)      decodes there stand still meanwhile: why a local prefill may not pay
///         + N burden B(decode worker)   every step there is longer by this sequence
/// cost  = first / TTFT limit + further / (N TPOT limit)                shares of the limits that are used up
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

    /// <summary>A worker that also prefills decodes in what is left of its time; some is always left.</summary>
    private const double MostPrefillShare = 0.9;

    private readonly OfferedLoad _load = new();

    public override string Name => "krewe";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override RouteChoice Pick(RouteRequest request, RouteCandidates candidates)
    {
        var prefills = candidates.Prefills;
        _load.Pass(request.NowUs);
        var terms = TermsOf(request, prefills.Length);
        var decode = BestDecode(request, candidates.Decodes);
        var best = new Offer(true, 0, default);
        foreach (var worker in prefills)
        {
            if (worker.TakesWhole && worker.Holds(request.ContextTokens))
                Consider(ref best, request, worker, Decode(request, worker), terms);
            else
                Consider(ref best, request, worker, decode, terms);
        }

        foreach (var worker in candidates.Decodes)
        {
            if (worker is { PrefillsLocally: true, TakesPrefill: false })
                Consider(ref best, request, worker, Decode(request, worker), terms);
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

    private static void Consider(
        ref Offer best, RouteRequest request, RouteWorker prefill, in DecodeSide side, in Terms terms)
    {
        // Most workers of a large cell lose by their queue and the tokens they have not, most others by the work.
        var known = prefill.PullsPrefixes ? request.Hits.BestTokens : request.Hits[prefill.Slot].Total;
        known = Math.Min(known, request.PrefillTokens - 1);
        var tokens = request.PrefillTokens - known;
        var queueMs = prefill.QueueMs(request.NowUs);
        if (Loses(best, request, side, terms, queueMs, tokens * prefill.Costs.PrefillTokenMs)) return;
        var leastMs = prefill.Costs.PrefillMs(tokens, known, prefill.StepBudgetTokens);
        if (Loses(best, request, side, terms, queueMs, leastMs)) return;
        var plan = PrefillForecast.Of(request, prefill, terms.TokensPerMs);
        var ttft = request.WaitedMs + plan.TtftMs;
        var decode = side.Worker;
        var tail = DecodeForecast.HandoffTailMs(prefill, decode, request.PrefillTokens - plan.KnownTokens);
        var step = prefill == decode ? side.StepMs / (1 - terms.PrefillShare) : side.StepMs;
        var tpot = step + ((tail + side.WaitMs) / side.Tokens);
        var misses = ttft + (Margin * plan.TtftMs) > request.TtftSloMs || tpot > request.TpotSloMs;
        var stalled = prefill.TakesDecode ? prefill.DecodingSequences : 0;
        var cost = (terms.First * (ttft + (plan.WorkMs * terms.RequestsPerMs * (plan.QueueMs + plan.WorkMs))))
            + (terms.Further * ((side.Tokens * tpot) + (plan.WorkMs * stalled) + side.OthersMs));
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

    /// <summary>Cannot be better than the best so far, with at least so much work behind this queue.</summary>
    private static bool Loses(
        in Offer best, RouteRequest request, in DecodeSide side, in Terms terms, double queueMs, double workMs)
    {
        var ttft = request.WaitedMs + queueMs + workMs;
        var cost = (terms.First * (ttft + (workMs * terms.RequestsPerMs * (queueMs + workMs))))
            + (terms.Further * ((side.Tokens * side.StepMs) + side.OthersMs));
        return best.Choice.Prefill is not null && cost >= best.Choice.Cost
            && (!best.Misses || ttft + (Margin * (queueMs + workMs)) > request.TtftSloMs);
    }

    private static DecodeSide BestDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var tokens = DecodeForecast.OutputTokens(request);
        var (best, bestMs) = (workers[0], double.PositiveInfinity);
        foreach (var worker in workers)
        {
            // Most lose without a look at their room.
            var costMs = DecodeForecast.StepsCostMs(request, worker, tokens);
            if (costMs >= bestMs) continue;
            costMs += DecodeForecast.WaitMs(request, worker);
            if (costMs < bestMs) (best, bestMs) = (worker, costMs);
        }

        return Decode(request, best);
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
        RouteWorker Worker, int Tokens, double StepMs, double WaitMs, double OthersMs);

    private Terms TermsOf(RouteRequest request, int prefillWorkers)
    {
        var limited = !double.IsPositiveInfinity(request.TtftSloMs + request.TpotSloMs);
        return new Terms(
            limited ? 1 / request.TtftSloMs : 1,
            limited ? 1 / (request.TpotSloMs * DecodeForecast.OutputTokens(request)) : 1,
            _load.RequestsPerMs / prefillWorkers,
            _load.TokensPerMs / prefillWorkers,
            Math.Min(MostPrefillShare, _load.BusyWorkersWith(0) / prefillWorkers));
    }

    /// <summary>What all pairs of one choice have in common.</summary>
    /// <param name="First">
    /// What a ms of delay before the first token is worth: the share of the limit that it uses up. Without both limits
    /// every ms is worth the same.
    /// </param>
    /// <param name="Further">The same after the first token, spread over the output.</param>
    /// <param name="RequestsPerMs">Requests that come to one prefill worker.</param>
    /// <param name="TokensPerMs">Their tokens.</param>
    /// <param name="PrefillShare">Share of its time that prefill takes from a worker that does both.</param>
    private readonly record struct Terms(
        double First, double Further, double RequestsPerMs, double TokensPerMs, double PrefillShare);

    private readonly record struct Offer(bool Misses, double WorkMs, RouteChoice Choice);
}
