using Krewe.Control.Prefixes;

namespace Krewe.Control.Routing;

/// <summary>
/// SGLang's cache-aware router: a tree of what it routed where (nobody reports to it). Loads far apart: shortest queue;
/// else, when more than half of the prompt matches, the best match; else the least loaded. Decode: least loaded.
/// </summary>
public sealed class SglangPolicy : TwoStagePolicy
{
    private const int ImbalanceRequests = 32;
    private const double ImbalanceRatio = 1.1;
    private const double MatchShare = 0.5;

    private readonly RoutedPrefixes _tree = new();
    private readonly PrefixHits _matches = new();
    private string _rule = "";

    public override string Name => "sglang";

    public override PrefixUse Prefix => PrefixUse.Hashes;

    protected override string Rule => _rule;

    public override void Forget(int slot) => _tree.Forget(slot);

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var chosen = Choose(request, workers);
        _tree.Routed(chosen.Slot, request.Hashes.Span);
        return chosen;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        LeastLoaded(workers, out _);

    private RouteWorker Choose(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var least = LeastLoaded(workers, out var most);
        _rule = "loads far apart: fewest requests";
        if (most - least.Sequences > ImbalanceRequests && most > ImbalanceRatio * least.Sequences) return least;

        _matches.Clear();
        _tree.Match(request.Hashes.Span, request.HashBlockTokens, _matches);
        RouteWorker? best = null;
        foreach (var worker in workers)
        {
            var match = _matches[worker.Slot].Device;
            if (match <= MatchShare * request.PrefillTokens) continue;
            if (best is null || match > _matches[best.Slot].Device) best = worker;
        }

        _rule = best is null ? "no match of half the prompt: fewest requests" : "best match in the tree";
        return best ?? least;
    }

    private static RouteWorker LeastLoaded(ReadOnlySpan<RouteWorker> workers, out int most)
    {
        var least = workers[0];
        most = 0;
        foreach (var worker in workers)
        {
            most = Math.Max(most, worker.Sequences);
            if (worker.Sequences < least.Sequences) least = worker;
        }

        return least;
    }
}
