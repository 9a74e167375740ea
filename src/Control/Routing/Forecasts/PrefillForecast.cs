using Krewe.Abstractions;
using Krewe.Control.Tiers;

namespace Krewe.Control.Routing;

/// <summary>What a prompt would meet on one prefill worker.</summary>
/// <param name="QueueMs">Until its turn.</param>
/// <param name="WorkMs">From then to its first token: load what is worth loading, compute the rest.</param>
/// <param name="SharedMs">Added to its last step by prompts that come after it and share that step.</param>
/// <param name="KnownTokens">Tokens that are not computed.</param>
/// <param name="RestoreTokens">Of these, from a lower tier of the worker.</param>
/// <param name="PullTokens">Of these, from another worker.</param>
internal readonly record struct PrefillForecast(
    double QueueMs, double WorkMs, double SharedMs, int KnownTokens, int RestoreTokens, int PullTokens)
{
    /// <summary>From now to its first token.</summary>
    public double TtftMs => QueueMs + WorkMs + SharedMs;

    /// <param name="request">What is to be computed.</param>
    /// <param name="worker">Where.</param>
    /// <param name="tokensPerMs">Tokens that come to this worker after it, a ms.</param>
    public static PrefillForecast Of(RouteRequest request, RouteWorker worker, double tokensPerMs)
    {
        var hit = request.Hits[worker.Slot];
        // The last token is computed in any case: only computing gives logits.
        var usable = request.PrefillTokens - 1;
        var device = Math.Min(hit.Device, usable);
        var pulls = worker.PullsPrefixes && request.Hits.BestSlot != worker.Slot
            && request.Hits.BestTokens > device;
        if (hit.Host == 0 && hit.Disk == 0 && !pulls)
            return Compute(request, worker, tokensPerMs, device, default, 0);

        Span<TierOffer> offers = stackalloc TierOffer[3];
        var count = 0;
        if (hit.Host > 0)
            offers[count++] = Offer(KvTier.Host, device, device + hit.Host, worker, worker.HostBytesPerMs);
        if (hit.Disk > 0) offers[count++] = Offer(KvTier.Disk, device, hit.Total, worker, worker.DiskBytesPerMs);
        if (pulls)
            offers[count++] = Offer(KvTier.Remote, device, request.Hits.BestTokens, worker, worker.LinkBytesPerMs);
        var costs = new PrefillCost(
            (worker.Steps.PrefillTokenMs + (worker.Steps.PrefillFixedMs / worker.StepBudgetTokens)) / 1000,
            worker.Steps.PrefillPairMs / 1000);
        var chosen = TierRule.Choose(device, request.PrefillTokens, offers[..count], costs);
        return chosen is { } offer
            ? Compute(request, worker, tokensPerMs, Math.Min(offer.Tokens, usable), offer, device)
            : Compute(request, worker, tokensPerMs, device, default, 0);
    }

    private static PrefillForecast Compute(
        RouteRequest request, RouteWorker worker, double tokensPerMs, int known, TierOffer loaded, int device)
    {
        var tokens = request.PrefillTokens - known;
        var compute = worker.Steps.PrefillMs(tokens, known, worker.StepBudgetTokens);
        var queue = worker.QueueMs(request.NowUs);
        var (restore, pull) = (loaded.Tokens, loaded.Tier) switch
        {
            (0, _) => (0, 0),
            (_, KvTier.Remote) => (0, known - device),
            _ => (known - device, 0),
        };
        var work = loaded.Load.TotalMilliseconds + compute;
        var shared = SharedStepMs(worker, tokens, queue + work, tokensPerMs);
        return new PrefillForecast(queue, work, shared, known, restore, pull);
    }

    /// <summary>
    /// A first token comes at the end of its step, and what arrives until that step begins is computed in it too: as
    /// much as the budget leaves, and as much as comes.
    /// </summary>
    private static double SharedStepMs(RouteWorker worker, int tokens, double untilMs, double tokensPerMs)
    {
        var budget = worker.StepBudgetTokens;
        var inLastStep = (worker.OutstandingTokens + tokens) % budget;
        var lastStepMs = worker.Steps.PrefillFixedMs + (inLastStep * worker.Steps.PrefillTokenMs);
        var coming = tokensPerMs * Math.Max(0, untilMs - lastStepMs);
        return Math.Min(budget - inLastStep, coming) * worker.Steps.PrefillTokenMs;
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
