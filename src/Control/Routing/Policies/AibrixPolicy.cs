namespace Krewe.Control.Routing;

/// <summary>
/// AIBrix. Mixed workers: with running counts more than 8 apart only the least loaded are left; then the best prefix
/// match whose requests are at most one standard deviation above the mean, else the fewest requests. Prefill workers:
/// (100 - match %) / 10 + requests / most, same bound. Decode: running share over free share of the KV pool.
/// </summary>
public sealed class AibrixPolicy : TwoStagePolicy
{
    private const int ImbalanceRequests = 8;
    private const double MatchWeight = 0.1;

    public override string Name => "aibrix";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override string Rule => "prefix match among workers of usual load";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var (least, most) = (workers[0], 0);
        double sum = 0, squares = 0;
        foreach (var worker in workers)
        {
            var requests = worker.Sequences;
            most = Math.Max(most, requests);
            if (requests < least.Sequences) least = worker;
            sum += requests;
            squares += (double)requests * requests;
        }

        var mean = sum / workers.Length;
        var bound = mean + Math.Sqrt(Math.Max(0, (squares / workers.Length) - (mean * mean)));
        var imbalanced = most - least.Sequences > ImbalanceRequests;
        RouteWorker? best = null;
        var bestCost = double.PositiveInfinity;
        foreach (var worker in workers)
        {
            if (worker.Sequences > bound) continue;
            if (worker.TakesDecode && imbalanced && worker.Sequences > least.Sequences) continue;
            var match = 100.0 * request.Hits[worker.Slot].Device / Math.Max(1, request.PrefillTokens);
            // Mixed: by match, then by requests (below 1, so that it only breaks ties of a whole per cent).
            var cost = worker.TakesDecode
                ? -Math.Floor(match) + (worker.Sequences / (most + 1.0))
                : ((100 - match) * MatchWeight) + (worker.Sequences / Math.Max(1.0, most));
            if (cost >= bestCost) continue;
            (best, bestCost) = (worker, cost);
        }

        return best ?? least;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        int mostRunning = 1, mostFree = 1;
        foreach (var worker in workers)
        {
            mostRunning = Math.Max(mostRunning, worker.Sequences);
            mostFree = Math.Max(mostFree, worker.FreeBlocks);
        }

        var (best, bestCost) = (workers[0], double.PositiveInfinity);
        foreach (var worker in workers)
        {
            var free = Math.Max(1e-6, (double)worker.FreeBlocks / mostFree);
            var cost = (double)worker.Sequences / mostRunning / free;
            if (cost < bestCost) (best, bestCost) = (worker, cost);
        }

        return best;
    }
}
