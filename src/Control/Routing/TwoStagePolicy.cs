namespace Krewe.Control.Routing;

/// <summary>
/// First a prefill worker, then a decode worker: what every router in production does. A worker that won the prefill
/// and takes whole requests decodes too: no handoff is cheaper than any.
/// </summary>
public abstract class TwoStagePolicy : RoutePolicy
{
    /// <summary>What decided, for the reason.</summary>
    protected abstract string Rule { get; }

    protected sealed override RouteChoice Pick(RouteRequest request, RouteCandidates candidates)
    {
        var prefill = PickPrefill(request, candidates.Prefills);
        var whole = prefill.TakesWhole && prefill.BlocksFor(request.ContextTokens) <= prefill.TotalBlocks;
        return new RouteChoice
        {
            Prefill = prefill,
            Decode = whole ? prefill : PickDecode(request, candidates.Decodes),
            HitTokens = Math.Min(request.Hits[prefill.Slot].Device, request.PrefillTokens - 1),
            TtftMs = double.NaN,
            TpotMs = double.NaN,
            Rule = Rule,
        };
    }

    protected abstract RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers);

    protected abstract RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers);
}
