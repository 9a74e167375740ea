using System.Diagnostics.Metrics;
using Krewe.Control.Metrics;

namespace Krewe.Control.Tests.Metrics;

public sealed class MetricSetTests
{
    private static readonly MetricInfo Sizes = new("krewe_test_seconds", MetricKind.Histogram, "Sizes.")
    {
        Bounds = [1, 2, 4],
        Alias = "vllm:test_seconds",
    };

    [Fact]
    public void A_counter_a_gauge_and_a_histogram_are_written_as_Prometheus_reads_them()
    {
        using var set = Create();
        set.Counters(new MetricInfo("krewe_test_total", MetricKind.Counter, "Things.") { Labels = ["kind"] })
            .Of("a \"b\"\n\\c").Add(3);
        set.Observe(new MetricInfo("krewe_test_ratio", MetricKind.Gauge, "A share."), () => 0.25);
        var sizes = set.Histogram(Sizes);
        foreach (var value in (double[])[0.5, 1, 3, 100]) sizes.Record(value);

        var text = set.ToPrometheus();

        Assert.Contains("# TYPE krewe_test_total counter\n", text, StringComparison.Ordinal);
        Assert.Contains(
            "krewe_test_total{model=\"tiny\",kind=\"a \\\"b\\\"\\n\\\\c\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("krewe_test_ratio{model=\"tiny\"} 0.25\n", text, StringComparison.Ordinal);
        Assert.Contains("krewe_test_seconds_bucket{model=\"tiny\",le=\"1\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("krewe_test_seconds_bucket{model=\"tiny\",le=\"4\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("krewe_test_seconds_bucket{model=\"tiny\",le=\"+Inf\"} 4\n", text, StringComparison.Ordinal);
        Assert.Contains("krewe_test_seconds_sum{model=\"tiny\"} 104.5\n", text, StringComparison.Ordinal);
        Assert.Contains(
            "vllm:test_seconds_count{model_name=\"tiny\",engine=\"silo-0\"} 4\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_label_cannot_make_more_than_the_most_series()
    {
        var family = new MetricFamily<CounterSeries>(
            new MetricInfo("krewe_test_total", MetricKind.Counter, "Things.") { Labels = ["id"] },
            _ => new CounterSeries());
        for (var i = 0; i < 1000; i++) family.Of($"id-{i}").Add();

        Assert.Equal(MetricFamily<CounterSeries>.SeriesMax + 1, family.Series.Count());
        Assert.Equal(1000, family.Series.Sum(pair => pair.Series.Value));
        Assert.Throws<ArgumentException>(() => family.Of("a", "b"));
    }

    [Fact]
    public void Recording_allocates_nothing_while_an_exporter_listens()
    {
        using var set = Create();
        var (sizes, things) = (set.Histogram(Sizes), set.Counter(new MetricInfo("a_total", MetricKind.Counter, "A.")));
        var heard = 0.0;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == "Krewe.Test") self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>((_, value, _, _) => heard += value);
        listener.Start();
        void Record()
        {
            sizes.Record(0.5);
            things.Add();
        }

        var runs = 0;
        void RecordOften()
        {
            for (var i = 0; i < 10_000; i++) Record();
            runs++;
        }

        Record();
        Assert.Equal(0, Allocations.Of(RecordOften));
        Assert.Equal(1 + (runs * 10_000), sizes.Look().Count);
        Assert.Equal(0.5 + (runs * 5000), heard);
    }

    [Theory]
    [InlineData(0.5, 1.0)]
    [InlineData(0.75, 3.0)]
    [InlineData(1.0, 4.0)]
    public void A_quantile_lies_inside_its_bucket(double q, double expected)
    {
        var counts = new HistogramCounts([1, 2, 4], [2, 0, 2, 0], 0);

        Assert.Equal(expected, counts.Quantile(q));
    }

    [Fact]
    public void A_difference_of_two_looks_has_what_came_between_them()
    {
        using var set = Create();
        var sizes = set.Histogram(Sizes);
        sizes.Record(3);
        var before = sizes.Look();
        sizes.Record(0.5);
        var between = sizes.Look().Since(before);

        Assert.Equal(1, between.Count);
        Assert.Equal(0.5, between.Sum);
        Assert.Null(before.Since(before).Quantile(0.5));
    }

    [Fact]
    public void Names_are_the_ones_that_Prometheus_and_OpenTelemetry_allow_and_each_is_there_once()
    {
        var names = MetricCatalog.All.Select(info => info.Name).ToArray();
        var instruments = MetricCatalog.All.Select(info => info.InstrumentName).OfType<string>().ToArray();

        Assert.Equal(names.Distinct(), names);
        Assert.Equal(instruments.Distinct(), instruments);
        Assert.All(MetricCatalog.SampleNames, name => Assert.Matches("^[a-z_][a-z0-9_:]*$", name));
        Assert.All(instruments, name => Assert.Matches("^[a-z][a-z0-9_./-]{0,254}$", name));
        Assert.All(MetricCatalog.All, info => Assert.Equal(
            info.Kind == MetricKind.Counter, info.Name.EndsWith("_total", StringComparison.Ordinal)));
        Assert.All(MetricCatalog.All, info => Assert.Equal(info.Kind == MetricKind.Histogram, info.Bounds.Length > 0));
        // A request's id, a prompt or a tenant's text as a label would grow without end.
        Assert.All(MetricCatalog.All.SelectMany(info => info.Labels), label => Assert.Contains(
            label,
            (string[])["version", "grain_host", "kind", "outcome", "slo", "reason", "finished_reason", "fate", "cause",
                "role", "state", "grain", "code", "numerics", "direction", "tier", "what"]));
    }

    private static MetricSet Create() => new("Krewe.Test", "tiny", "silo-0", () => [("model", "tiny")]);
}
