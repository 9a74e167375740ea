namespace Krewe.Control.Routing;

/// <summary>
/// llm-d's default since August 2026: stay with workers that have at least 80 % of the prompt, unless their queues are
/// 18 s (at 15,928 tokens a second) longer than the best other's; among who is left, least tokens in flight. Decode:
/// fewest active requests.
/// </summary>
public sealed class LlmdStickyPolicy(ulong seed) : TwoStagePolicy
{
    private const double StickyShare = 0.80;
    private const double BreakTokens = 18_000 * 15.928;
    private const double TokensMax = 4_194_304;

    private RouteRandom _random = new(seed);

    public override string Name => "llm-d-sticky";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override string Rule => "sticky to the prefix, then token load";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        double bestSticky = double.PositiveInfinity, bestOther = double.PositiveInfinity;
        foreach (var worker in workers)
        {
            ref var best = ref IsSticky(request, worker) ? ref bestSticky : ref bestOther;
            best = Math.Min(best, worker.OutstandingTokens);
        }

        var stays = bestSticky - bestOther <= BreakTokens;
        var ties = new RouteTies(ref _random);
        foreach (var worker in workers)
        {
            if (stays && !IsSticky(request, worker)) continue;
            var uncached = request.PrefillTokens - request.Hits[worker.Slot].Device;
            ties.Offer(worker, Math.Min(1, (worker.OutstandingTokens + uncached) / TokensMax));
        }

        return ties.Best;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var ties = new RouteTies(ref _random);
        foreach (var worker in workers) ties.Offer(worker, worker.Sequences);
        return ties.Best;
    }

    private static bool IsSticky(RouteRequest request, RouteWorker worker) =>
        request.Hits[worker.Slot].Device >= StickyShare * request.PrefillTokens;
}
