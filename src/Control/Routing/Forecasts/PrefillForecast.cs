using Krewe.Abstractions;
using Krewe.Control.Tiers;

namespace Krewe.Control.Routing;

/// <summary>What a prompt would meet on one prefill worker.</summary>
/// <param name="QueueMs">Until its turn.</param>
/// <param name="WorkMs">From then to its first token: load what is worth loading, compute the rest.</param>
/// <param name="KnownTokens">Tokens that are not computed.</param>
/// <param name="RestoreTokens">Of these, from a lower tier of the worker.</param>
/// <param name="PullTokens">Of these, from another worker.</param>
internal readonly record struct PrefillForecast(
    double QueueMs, double WorkMs, int KnownTokens, int RestoreTokens, int PullTokens)
{
    public static PrefillForecast Of(RouteRequest request, RouteWorker worker)
    {
        var hit = request.Hits[worker.Slot];
        // The last token is computed in any case: only computing gives logits.
        var usable = request.PrefillTokens - 1;
        var device = Math.Min(hit.Device, usable);
        var pulls = worker.PullsPrefixes && request.Hits.BestSlot != worker.Slot
            && request.Hits.BestTokens > device;
        if (hit.Host == 0 && hit.Disk == 0 && !pulls) return Compute(request, worker, device, default, 0);

        Span<TierOffer> offers = stackalloc TierOffer[3];
        var count = 0;
        if (hit.Host > 0) offers[count++] = Offer(KvTier.Host, device, device + hit.Host, worker, worker.HostBytesPerMs);
        if (hit.Disk > 0) offers[count++] = Offer(KvTier.Disk, device, hit.Total, worker, worker.DiskBytesPerMs);
        if (pulls)
            offers[count++] = Offer(KvTier.Remote, device, request.Hits.BestTokens, worker, worker.LinkBytesPerMs);
        var costs = new PrefillCost(
            (worker.Steps.PrefillTokenMs + (worker.Steps.PrefillFixedMs / worker.StepBudgetTokens)) / 1000,
            worker.Steps.PrefillPairMs / 1000);
        var chosen = TierRule.Choose(device, request.PrefillTokens, offers[..count], costs);
        if (chosen is not { } offer) return Compute(request, worker, device, default, 0);
        return Compute(request, worker, Math.Min(offer.Tokens, usable), offer, device);
    }

    private static PrefillForecast Compute(
        RouteRequest request, RouteWorker worker, int known, TierOffer loaded, int device)
    {
        var compute = worker.Steps.PrefillMs(request.PrefillTokens - known, known, worker.StepBudgetTokens);
        var (restore, pull) = (loaded.Tokens, loaded.Tier) switch
        {
            (0, _) => (0, 0),
            (_, KvTier.Remote) => (0, known - device),
            _ => (known - device, 0),
        };
        return new PrefillForecast(worker.QueueMs, loaded.Load.TotalMilliseconds + compute, known, restore, pull);
    }

    private static TierOffer Offer(KvTier tier, int from, int to, RouteWorker worker, double bytesPerMs)
    {
        // A tier of unknown speed is no offer: it would be taken for infinitely fast.
        if (!(bytesPerMs > 0)) return new TierOffer(tier, 0, TimeSpan.Zero);
        var latency = tier == KvTier.Remote ? worker.LinkLatencyMs : 0;
        return new TierOffer(
            tier, to, TimeSpan.FromMilliseconds(latency + ((to - from) * worker.KvBytesPerToken / bytesPerMs)));
    }
}
