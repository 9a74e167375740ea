using Krewe.Abstractions.Wire;
using Krewe.Control.Metrics;

namespace Krewe.Workers;

/// <summary>
/// The worker's metrics. What its engine records in a step allocates nothing; the rest is read from the engine's newest
/// <see cref="EngineLoad"/> when somebody looks.
/// </summary>
internal sealed class WorkerMetrics : IDisposable
{
    public const string MeterName = "Krewe.Workers";

    private readonly HistogramSeries _stepTime;
    private readonly HistogramSeries _stepRows;

    /// <param name="model">The served model's name.</param>
    /// <param name="worker">The worker's id.</param>
    /// <param name="role">Its role now.</param>
    public WorkerMetrics(string model, string worker, Func<string> role)
    {
        Set = new MetricSet(
            MeterName, model, worker, () => [("model", model), ("worker", worker), ("role", role())]);
        _stepTime = Set.Histogram(WorkerMetric.StepTime);
        _stepRows = Set.Histogram(WorkerMetric.StepRows);
        PrefixQueries = Set.Counter(WorkerMetric.PrefixQueries);
        PrefixHits = Set.Counter(WorkerMetric.PrefixHits);
        Preemptions = Set.Counter(WorkerMetric.Preemptions);
        Failures = Set.Counters(WorkerMetric.Failures);
        Handoffs = Set.Counters(WorkerMetric.Handoffs);
        HandoffTime = Set.Histogram(WorkerMetric.HandoffTime);
        HandoffBytes = Set.Counter(WorkerMetric.HandoffBytes);
        foreach (var outcome in (string[])["committed", "failed"]) Handoffs.Of(outcome);
    }

    public MetricSet Set { get; }

    public CounterSeries PrefixQueries { get; }

    public CounterSeries PrefixHits { get; }

    public CounterSeries Preemptions { get; }

    public MetricFamily<CounterSeries> Failures { get; }

    public MetricFamily<CounterSeries> Handoffs { get; }

    public HistogramSeries HandoffTime { get; }

    public CounterSeries HandoffBytes { get; }

    /// <summary>On the engine thread, once a step.</summary>
    public void StepEnded(double ms, int rows)
    {
        _stepTime.Record(ms / 1000);
        _stepRows.Record(rows);
    }

    /// <summary>Registers what is read at a look; once.</summary>
    /// <param name="numerics">What it computes with.</param>
    /// <param name="load">The engine's newest figures.</param>
    /// <param name="links">Silos it is linked to.</param>
    public void Observe(string numerics, Func<EngineLoad> load, Func<int> links)
    {
        var version = typeof(WorkerMetrics).Assembly.GetName().Version?.ToString(3) ?? "";
        Set.Observe(WorkerMetric.Info, () => [new MetricSample(1, numerics, version)]);
        Set.Observe(WorkerMetric.SiloLinks, () => links());
        Set.Observe(WorkerMetric.Draining, () => load().Draining ? 1 : 0);
        Set.Observe(WorkerMetric.Steps, () => load().Steps);
        Set.Observe(WorkerMetric.Running, () => load().RunningSequences);
        Set.Observe(WorkerMetric.Waiting, () => load().WaitingSequences);
        Set.Observe(WorkerMetric.WaitingTokens, () => load().WaitingTokens);
        Set.Observe(WorkerMetric.KvBlocks, () => BlocksOf(load()));
        Set.Observe(WorkerMetric.KvUsage, () => (double)load().PinnedBlocks / Math.Max(1, load().TotalBlocks));
        Set.Observe(WorkerMetric.Leases, () => load().Leases);
        Set.Observe(WorkerMetric.PrefillTokens, () => load().PrefillTokens);
        Set.Observe(WorkerMetric.DecodeTokens, () => load().DecodeTokens);
        Set.Observe(WorkerMetric.Migrations, () => MigrationsOf(load()));
        Set.Observe(WorkerMetric.Fetched, () => load().FetchedBlocks);
        ObserveTiers(() => load().Tiers);
        Set.Observe(ProcessMetric.Cpu, () => Environment.CpuUsage.TotalTime.TotalSeconds);
        Set.Observe(ProcessMetric.Memory, () => Environment.WorkingSet);
        Set.Observe(ProcessMetric.HeapSize, () => GC.GetGCMemoryInfo().HeapSizeBytes);
        Set.Observe(ProcessMetric.GcPause, () => GC.GetTotalPauseDuration().TotalSeconds);
    }

    public void Dispose() => Set.Dispose();

    /// <summary>A worker without tiers shows no series of them.</summary>
    private void ObserveTiers(Func<TierReport?> read)
    {
        void Observe(MetricInfo info, Func<TierReport, double> value) =>
            Set.Observe(info, () => read() is { } tiers ? [new MetricSample(value(tiers))] : []);
        Set.Observe(WorkerMetric.TierBlocks, () => read() is { } tiers
            ? [new MetricSample(tiers.HostBlocks, "host"), new MetricSample(tiers.DiskBlocks, "disk")]
            : []);
        Set.Observe(WorkerMetric.TierCapacity, () => read() is { } tiers
            ? [new MetricSample(tiers.HostCapacity, "host"), new MetricSample(tiers.DiskCapacity, "disk")]
            : []);
        Observe(WorkerMetric.Spilled, tiers => tiers.SpilledBlocks);
        Observe(WorkerMetric.Restored, tiers => tiers.RestoredBlocks);
        Observe(WorkerMetric.Bad, tiers => tiers.BadBlocks);
        Observe(WorkerMetric.Lost, tiers => tiers.LostBlocks);
        Observe(WorkerMetric.RecomputeChosen, tiers => tiers.RecomputeChosen);
        Set.Observe(WorkerMetric.Switches, () => read() is { } tiers
            ? [new MetricSample(tiers.SwitchesOut, "out"), new MetricSample(tiers.SwitchesIn, "in")]
            : []);
        Set.Observe(WorkerMetric.SwitchCopies, () => read() is { } tiers
            ? [new MetricSample(tiers.SwitchOutCopies, "out"), new MetricSample(tiers.SwitchInCopies, "in")]
            : []);
    }

    private static MetricSample[] BlocksOf(EngineLoad load) =>
    [
        new(load.FreeBlocks, "free"), new(load.EvictableBlocks, "evictable"), new(load.PinnedBlocks, "pinned"),
    ];

    private static MetricSample[] MigrationsOf(EngineLoad load) =>
        [new(load.MigratedIn, "in"), new(load.MigratedOut, "out")];
}
