namespace Krewe.Control.Routing;

/// <summary>
/// Llumnix: to the worker of most freeness (OSDI'24, section 4.4), (pool - used - waiting demand) / batch in blocks,
/// with its own dispatches counted at once (v1's local account). Prefill-only workers: fewest prompt tokens to compute.
/// </summary>
public sealed class LlumnixPolicy : TwoStagePolicy
{
    public override string Name => "llumnix";

    protected override string Rule => "most freeness";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var (best, bestCost) = (workers[0], double.PositiveInfinity);
        foreach (var worker in workers)
        {
            var cost = worker.TakesDecode ? -Freeness(worker) : worker.OutstandingTokens;
            if (cost < bestCost) (best, bestCost) = (worker, cost);
        }

        return best;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var best = workers[0];
        foreach (var worker in workers)
        {
            if (Freeness(worker) > Freeness(best)) best = worker;
        }

        return best;
    }

    private static double Freeness(RouteWorker worker)
    {
        var promised = (worker.WaitingTokens + worker.DispatchedTokens + worker.DispatchedContextTokens)
            / (double)worker.BlockTokens;
        return (worker.AvailableBlocks - promised) / Math.Max(1, worker.Sequences);
    }
}
