using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Routing;

namespace Krewe.Cli;

/// <summary>Measures routing decisions and index updates in a cell of a given size, on this thread.</summary>
internal sealed class RoutingBench(TimeProvider time, int workers, long blocks, int decisions)
{
    private const int WarmUps = 2000;
    private const int LongestPrompt = 1024;

    public RoutingReport Run(IReadOnlyList<string> policies, CancellationToken cancellationToken)
    {
        var world = new RoutingWorld(workers, blocks);
        var begun = time.GetTimestamp();
        var filled = world.Fill();
        var fillSeconds = time.GetElapsedTime(begun).TotalSeconds;
        var updates = (int)Math.Clamp(blocks / 5, 1000, 2_000_000);
        var updatesPerSecond = MeasureUpdates(world, updates);
        var figures = new List<DecisionFigures>();
        var promptBlocks = 0.0;
        foreach (var name in policies)
        {
            cancellationToken.ThrowIfCancellationRequested();
            figures.Add(MeasureDecisions(world, name, out promptBlocks));
        }

        return new RoutingReport
        {
            Workers = workers,
            Blocks = world.Index.Blocks,
            Residencies = world.Index.Residencies,
            BytesPerBlock = (double)world.Index.Bytes / world.Index.Blocks,
            FillPerSecond = filled / fillSeconds,
            UpdatesPerSecond = updatesPerSecond,
            DictionaryUpdatesPerSecond = MeasureDictionary(world, updates),
            Decisions = decisions,
            PromptBlocks = promptBlocks,
            Policies = figures,
        };
    }

    private double MeasureUpdates(RoutingWorld world, int updates)
    {
        var some = Draw(world, updates);
        var begun = time.GetTimestamp();
        foreach (var (hash, holder) in some) world.Index.Remove(holder, hash, KvTier.Device);
        foreach (var (hash, holder) in some) world.Index.Add(holder, hash, KvTier.Device);
        return 2 * updates / time.GetElapsedTime(begun).TotalSeconds;
    }

    private double MeasureDictionary(RoutingWorld world, int updates)
    {
        // As many entries as the index has, or the smaller one would win by fitting into a cache.
        var peer = new Dictionary<PrefixHash, int>();
        for (var i = 1UL; i <= (ulong)world.Index.Blocks; i++)
            peer.Add(new PrefixHash(i * 0x9E3779B97F4A7C15), 0);
        var some = Draw(world, updates);
        foreach (var (hash, holder) in some) peer[hash] = holder;
        var begun = time.GetTimestamp();
        foreach (var (hash, _) in some) peer.Remove(hash);
        foreach (var (hash, holder) in some) peer[hash] = holder;
        return 2 * updates / time.GetElapsedTime(begun).TotalSeconds;
    }

    private static (PrefixHash Hash, int Holder)[] Draw(RoutingWorld world, int count)
    {
        var some = new (PrefixHash Hash, int Holder)[count];
        for (var i = 0; i < count; i++) some[i] = world.SomeBlock();
        return some;
    }

    private DecisionFigures MeasureDecisions(RoutingWorld world, string name, out double promptBlocks)
    {
        var policy = RoutingPolicies.Create(name, seed: 1);
        var times = new double[decisions];
        var hashes = new PrefixHash[LongestPrompt];
        var (allocated, blockSum) = (0L, 0L);
        for (var i = -WarmUps; i < decisions; i++)
        {
            var request = world.Request;
            blockSum += world.NextRequest(hashes);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var begun = time.GetTimestamp();
            request.Hits.Clear();
            if (policy.Prefix == PrefixUse.Hits)
                world.Index.Match(request.Hashes.Span, request.HashBlockTokens, request.Hits);
            var choice = policy.Choose(request, world.Table);
            RouteDispatch.Count(request, choice);
            var elapsed = time.GetElapsedTime(begun);
            if (i < 0) continue;
            times[i] = elapsed.TotalMicroseconds;
            allocated += GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Array.Sort(times);
        promptBlocks = (double)blockSum / (decisions + WarmUps);
        return new DecisionFigures
        {
            Policy = name,
            P50Us = times[decisions / 2],
            P99Us = times[(int)(decisions * 0.99)],
            MaxUs = times[^1],
            AllocatedBytes = (double)allocated / decisions,
        };
    }
}
