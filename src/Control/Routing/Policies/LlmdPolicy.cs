namespace Krewe.Control.Routing;

/// <summary>
/// llm-d's scorers before August 2026: queue 2, free KV 2, prefix 3, each in 0..1; the highest weighted sum wins, ties
/// are drawn. Loads are those of the last scrape: dispatches in flight are not counted.
/// </summary>
public sealed class LlmdPolicy(ulong seed) : TwoStagePolicy
{
    private const double QueueWeight = 2;
    private const double KvWeight = 2;
    private const double PrefixWeight = 3;

    private RouteRandom _random = new(seed);

    public override string Name => "llm-d";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override string Rule => "queue, free KV and prefix scores";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        Pick(request, workers, PrefixWeight);

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        Pick(request, workers, PrefixWeight);

    private RouteWorker Pick(RouteRequest request, ReadOnlySpan<RouteWorker> workers, double prefixWeight)
    {
        int most = 0, least = int.MaxValue;
        foreach (var worker in workers)
        {
            most = Math.Max(most, worker.WaitingSequences);
            least = Math.Min(least, worker.WaitingSequences);
        }

        var ties = new RouteTies(ref _random);
        foreach (var worker in workers)
        {
            var queue = most == least ? 1 : (double)(most - worker.WaitingSequences) / (most - least);
            var free = (double)worker.AvailableBlocks / worker.TotalBlocks;
            var prefix = (double)request.Hits[worker.Slot].Device / Math.Max(1, request.PrefillTokens);
            ties.Offer(worker, -((QueueWeight * queue) + (KvWeight * free) + (prefixWeight * prefix)));
        }

        return ties.Best;
    }
}
