namespace Krewe.Control.Routing;

/// <summary>
/// NVIDIA Dynamo's KV router with its default constants, in blocks: prefill load less what the cache gives (host and
/// disk count 0.75 and 0.25), plus the blocks that decode will hold. "lmetric" multiplies the two instead. Split by
/// phase as Dynamo runs it disaggregated: the prefill stage counts no decode blocks, the decode stage nothing else.
/// </summary>
public sealed class DynamoPolicy(ulong seed, bool lmetric) : TwoStagePolicy
{
    private const double HostCredit = 0.75;
    private const double DiskCredit = 0.25;

    private RouteRandom _random = new(seed);

    public override string Name => lmetric ? "dynamo-lmetric" : "dynamo";

    public override PrefixUse Prefix => PrefixUse.Hits;

    protected override string Rule => lmetric ? "prefill times decode blocks" : "prefill plus decode blocks";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var ties = new RouteTies(ref _random);
        foreach (var worker in workers)
        {
            var hit = request.Hits[worker.Slot];
            var credit = hit.Device + (HostCredit * hit.Host) + (DiskCredit * hit.Disk);
            var prefill = Math.Max(
                0, (worker.OutstandingTokens + request.PrefillTokens - credit) / worker.BlockTokens);
            var decode = worker.TakesDecode ? DecodeBlocks(request, worker) : 0;
            ties.Offer(worker, lmetric ? prefill * (decode + 1) : prefill + decode);
        }

        return ties.Best;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var ties = new RouteTies(ref _random);
        foreach (var worker in workers) ties.Offer(worker, DecodeBlocks(request, worker));
        return ties.Best;
    }

    private static double DecodeBlocks(RouteRequest request, RouteWorker worker) =>
        (double)(worker.DecodingContextTokens + request.PrefillTokens) / worker.BlockTokens;
}
