using System.Reflection;
using Krewe.Abstractions;
using Krewe.Control.Metrics;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Telemetry;

/// <summary>What this silo counts while it works. What it reads at a look is registered by <see cref="SiloGauges"/>.
/// </summary>
internal sealed class SiloMetrics : IDisposable
{
    public const string MeterName = "Krewe.Silo";

    public SiloMetrics(SiloOptions options, ServedModel model)
    {
        Set = new MetricSet(
            MeterName, model.Name, options.SiloId, () => [("model", model.Name), ("silo", options.SiloId)]);
        Set.Observe(SiloMetric.Build, () => [new MetricSample(1, Version, GrainHost.Name)]);
        Requests = Set.Counters(SiloMetric.Requests);
        Good = Set.Counter(SiloMetric.GoodRequests);
        SloMissed = Set.Counters(SiloMetric.SloMissed);
        Refusals = Set.Counters(SiloMetric.Refusals);
        Successes = Set.Counters(SiloMetric.Successes);
        Duration = Set.Histogram(SiloMetric.Duration);
        Ttft = Set.Histogram(SiloMetric.Ttft);
        Itl = Set.Histogram(SiloMetric.Itl);
        Tpot = Set.Histogram(SiloMetric.Tpot);
        QueueTime = Set.Histogram(SiloMetric.QueueTime);
        PrefillTime = Set.Histogram(SiloMetric.PrefillTime);
        HandoffTime = Set.Histogram(SiloMetric.HandoffTime);
        DecodeTime = Set.Histogram(SiloMetric.DecodeTime);
        RequestPrompt = Set.Histogram(SiloMetric.RequestPrompt);
        RequestOutput = Set.Histogram(SiloMetric.RequestOutput);
        PromptTokens = Set.Counter(SiloMetric.PromptTokens);
        OutputTokens = Set.Counter(SiloMetric.OutputTokens);
        CachedTokens = Set.Counter(SiloMetric.CachedTokens);
        FailedAttempts = Set.Counters(SiloMetric.FailedAttempts);
        Migrations = Set.Counters(SiloMetric.Migrations);
        MigrationTime = Set.Histogram(SiloMetric.MigrationTime);
        MovedBytes = Set.Counters(SiloMetric.MovedBytes);
        GrainCalls = Set.Counters(SiloMetric.GrainCalls);
        GrainCallTime = Set.Histograms(SiloMetric.GrainCallTime);
        Responses = Set.Counters(SiloMetric.Responses);
        foreach (var outcome in (string[])["committed", "aborted"]) Migrations.Of(outcome);
    }

    public static string Version { get; } =
        typeof(SiloMetrics).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()
            ?.InformationalVersion.Split('+')[0] ?? "0";

    public MetricSet Set { get; }

    public MetricFamily<CounterSeries> Requests { get; }

    public CounterSeries Good { get; }

    public MetricFamily<CounterSeries> SloMissed { get; }

    public MetricFamily<CounterSeries> Refusals { get; }

    public MetricFamily<CounterSeries> Successes { get; }

    public HistogramSeries Duration { get; }

    public HistogramSeries Ttft { get; }

    public HistogramSeries Itl { get; }

    public HistogramSeries Tpot { get; }

    public HistogramSeries QueueTime { get; }

    public HistogramSeries PrefillTime { get; }

    public HistogramSeries HandoffTime { get; }

    public HistogramSeries DecodeTime { get; }

    public HistogramSeries RequestPrompt { get; }

    public HistogramSeries RequestOutput { get; }

    public CounterSeries PromptTokens { get; }

    public CounterSeries OutputTokens { get; }

    public CounterSeries CachedTokens { get; }

    public MetricFamily<CounterSeries> FailedAttempts { get; }

    public MetricFamily<CounterSeries> Migrations { get; }

    public HistogramSeries MigrationTime { get; }

    public MetricFamily<CounterSeries> MovedBytes { get; }

    public MetricFamily<CounterSeries> GrainCalls { get; }

    public MetricFamily<HistogramSeries> GrainCallTime { get; }

    public MetricFamily<CounterSeries> Responses { get; }

    public void Dispose() => Set.Dispose();
}
