using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Control.Metrics;
using Krewe.Grains;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Links;
using Krewe.Silo.Streams;

namespace Krewe.Silo.Telemetry;

/// <summary>Registers what is read at a look: the silo's view, its door, its counters, its process.</summary>
internal sealed class SiloGauges(
    SiloMetrics metrics, ClusterView view, Door door, StreamCounters tokens, RecentRequests recent,
    DecisionLog decisions, GrainCensus census, RequestStreams streams, KeptAnswers answers, PrefixDirectory prefixes,
    IRecordRetention records)
{
    /// <summary>To be called once, before the gateway opens.</summary>
    public void Register()
    {
        var set = metrics.Set;
        set.Observe(SiloMetric.Inside, () => door.InsideCount);
        set.Observe(SiloMetric.Queued, () => recent.QueuedCount);
        set.Observe(SiloMetric.Draining, () => door.IsDraining ? 1 : 0);
        set.Observe(SiloMetric.StreamTokens, () =>
        [
            new(tokens.Accepted, "accepted"), new(tokens.Duplicate, "duplicate"), new(tokens.Stale, "stale"),
            new(tokens.Early, "early"), new(tokens.Late, "late"), new(tokens.Contradicting, "contradicting"),
        ]);
        set.Observe(SiloMetric.WorkersLost, () => view.RemovedCount);
        set.Observe(SiloMetric.Workers, CountWorkers);
        set.Observe(SiloMetric.PoolRunning, () => OfPools(
            workers => workers.Sum(worker => worker.RunningSequences)));
        set.Observe(SiloMetric.PoolWaiting, () => OfPools(
            workers => workers.Sum(worker => worker.WaitingSequences + worker.DispatchedSequences)));
        set.Observe(SiloMetric.PoolWaitingTokens, () => OfPools(
            workers => workers.Sum(worker => worker.WaitingTokens + worker.DispatchedTokens)));
        set.Observe(SiloMetric.PoolKvUsage, () => OfPools(KvUsage));
        set.Observe(SiloMetric.Decisions, () =>
            decisions.Counts.Select(pair => new MetricSample(pair.Value, pair.Key)));
        set.Observe(SiloMetric.GrainActivations, () =>
            census.Activations.Select(pair => new MetricSample(pair.Value, pair.Key)));
        set.Observe(SiloMetric.Kept, () =>
        [
            new(records.Count, "records"), new(answers.Count, "answers"), new(streams.Count, "streams"),
            new(view.Links.Sum(link => link.AttemptCount), "attempts"), new(prefixes.ToldBlocks, "told_blocks"),
            new(prefixes.RoutedBlocks, "routed_blocks"), new(recent.Count, "recent_requests"),
        ]);
        set.Observe(ProcessMetric.Cpu, () => Environment.CpuUsage.TotalTime.TotalSeconds);
        set.Observe(ProcessMetric.Memory, () => Environment.WorkingSet);
        set.Observe(ProcessMetric.HeapSize, () => GC.GetGCMemoryInfo().HeapSizeBytes);
        set.Observe(ProcessMetric.GcPause, () => GC.GetTotalPauseDuration().TotalSeconds);
    }

    public static string NameOf(WorkerRole role) => role.ToString().ToLowerInvariant();

    /// <summary>Share of the blocks that somebody holds.</summary>
    public static double KvUsage(IEnumerable<WorkerView> workers)
    {
        var (total, available) = (0L, 0L);
        foreach (var worker in workers)
        {
            total += worker.Descriptor.TotalBlocks;
            available += worker.AvailableBlocks;
        }

        return total == 0 ? 0 : 1 - ((double)available / total);
    }

    /// <summary>Every role, there or not: a count that vanishes would hide that its pool is gone.</summary>
    private IEnumerable<MetricSample> CountWorkers()
    {
        var workers = view.Workers;
        foreach (var role in Enum.GetValues<WorkerRole>())
        {
            foreach (var state in (WorkerState[])[WorkerState.Ready, WorkerState.Draining])
            {
                var count = workers.Count(worker => worker.Descriptor.Role == role && worker.State == state);
                yield return new MetricSample(count, NameOf(role), state.ToString().ToLowerInvariant());
            }
        }
    }

    private IEnumerable<MetricSample> OfPools(Func<IEnumerable<WorkerView>, double> read) => view.Workers
        .GroupBy(worker => worker.Descriptor.Role)
        .Select(pool => new MetricSample(read(pool), NameOf(pool.Key)));
}
