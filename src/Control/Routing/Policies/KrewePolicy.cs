using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// Krewe's own: among the pairs of workers that are predicted to meet the request's SLOs, the one that adds the least
/// delay to everybody, itself included; an early refusal when there is none. No constant in it was fitted to a trace.
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
        var arrivals = new Arrivals(
            _load.RequestsPerMs / prefills.Length, _load.TokensPerMs / prefills.Length,
            Math.Min(MostPrefillShare, _load.BusyWorkersWith(0) / prefills.Length));
        var decode = BestDecode(request, candidates.Decodes);
        var best = new Offer(true, 0, default);
        foreach (var worker in prefills)
        {
            var whole = worker.TakesWhole && worker.Holds(request.ContextTokens);
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
        // Most workers of a large cell lose by their queue and the tokens they have not.
        var scale = Scale.Of(request, side.Tokens);
        var known = prefill.PullsPrefixes ? request.Hits.BestTokens : request.Hits[prefill.Slot].Total;
        var leastWorkMs = (request.PrefillTokens - known) * prefill.Costs.PrefillTokenMs;
        var least = (scale.First * (request.WaitedMs + prefill.QueueMs(request.NowUs) + leastWorkMs))
            + (scale.Further * ((side.Tokens * side.StepMs) + side.OthersMs));
        if (!best.Misses && least >= best.Choice.Cost) return;
        var plan = PrefillForecast.Of(request, prefill, arrivals.TokensPerMs);
        var ttft = request.WaitedMs + plan.TtftMs;
        var tail = DecodeForecast.HandoffTailMs(prefill, decode, request.PrefillTokens - plan.KnownTokens);
        var step = prefill == decode ? side.StepMs / (1 - arrivals.PrefillShare) : side.StepMs;
        var tpot = step + ((tail + side.WaitMs) / side.Tokens);
        var misses = ttft + (Margin * plan.TtftMs) > request.TtftSloMs || tpot > request.TpotSloMs;
        var stalled = prefill.TakesDecode ? prefill.DecodingSequences : 0;
        var cost = (scale.First * (ttft + (plan.WorkMs * arrivals.RequestsPerMs * (plan.QueueMs + plan.WorkMs))))
            + (scale.Further * ((side.Tokens * tpot) + (plan.WorkMs * stalled) + side.OthersMs));
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
        var tokens = DecodeForecast.OutputTokens(request);
        var (best, bestMs) = (workers[0], double.PositiveInfinity);
        foreach (var worker in workers)
        {
            var costMs = DecodeForecast.CostMs(request, worker, tokens);
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

    /// <summary>
    /// What a ms of delay is worth, before the first token and after it: a share of the limit that it uses up. Without
    /// both limits every ms is worth the same.
    /// </summary>
    private readonly record struct Scale(double First, double Further)
    {
        public static Scale Of(RouteRequest request, int tokens) =>
            double.IsPositiveInfinity(request.TtftSloMs + request.TpotSloMs)
                ? new Scale(1, 1)
                : new Scale(1 / request.TtftSloMs, 1 / (request.TpotSloMs * tokens));
    }

    /// <summary>What comes to one prefill worker.</summary>
    private readonly record struct Arrivals(double RequestsPerMs, double TokensPerMs, double PrefillShare);

    private readonly record struct Offer(bool Misses, double WorkMs, RouteChoice Choice);
}
