using System.Diagnostics.Metrics;
using System.Globalization;

namespace Krewe.Control.Metrics;

/// <summary>
/// The metrics of one process: recorded once, told twice, as Prometheus' text and to whoever listens to the
/// <see cref="Meter"/> (an OTLP exporter, dotnet-counters).
/// </summary>
public sealed class MetricSet : IDisposable
{
    private readonly Meter _meter;
    private readonly Func<IReadOnlyList<(string Name, string Value)>> _common;
    private readonly IReadOnlyList<(string Name, string Value)> _aliasCommon;
    private readonly KeyValuePair<string, object?>[] _genAiTags;
    private readonly List<Source> _sources = [];

    /// <param name="meterName">As listeners know it.</param>
    /// <param name="model">The served model's name.</param>
    /// <param name="engine">Name of the process: vLLM's label "engine".</param>
    /// <param name="common">Labels of all metrics of the process, as they are now.</param>
    public MetricSet(
        string meterName, string model, string engine, Func<IReadOnlyList<(string Name, string Value)>> common)
    {
        _meter = new Meter(meterName);
        _common = common;
        _aliasCommon = [("model_name", model), ("engine", engine)];
        _genAiTags =
        [
            new("gen_ai.provider.name", "krewe"), new("gen_ai.request.model", model),
            new("gen_ai.operation.name", "text_completion"),
        ];
    }

    private sealed record Source(
        MetricInfo Info, Func<IEnumerable<MetricSample>>? Samples, MetricFamily<HistogramSeries>? Histograms);

    public MetricFamily<CounterSeries> Counters(MetricInfo info)
    {
        var family = new MetricFamily<CounterSeries>(info, _ => new CounterSeries());
        Observe(info, () => family.Series.Select(pair => new MetricSample(pair.Series.Value, pair.Labels)));
        return family;
    }

    public CounterSeries Counter(MetricInfo info) => Counters(info).Of();

    public MetricFamily<HistogramSeries> Histograms(MetricInfo info)
    {
        var instrument = info.InstrumentName is { } name
            ? _meter.CreateHistogram(name, info.Unit, info.Help, advice: new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [.. info.Bounds],
            })
            : null;
        var tags = info.GenAi is null ? [] : _genAiTags;
        var family = new MetricFamily<HistogramSeries>(
            info, labels => new HistogramSeries(info, instrument, [.. tags, .. Tags(info, labels)]));
        _sources.Add(new Source(info, null, family));
        return family;
    }

    public HistogramSeries Histogram(MetricInfo info) => Histograms(info).Of();

    /// <summary>Values that are read when somebody looks.</summary>
    public void Observe(MetricInfo info, Func<IEnumerable<MetricSample>> read)
    {
        _sources.Add(new Source(info, read, null));
        if (info.InstrumentName is not { } name) return;
        IEnumerable<Measurement<double>> Measure() =>
            read().Select(sample => new Measurement<double>(sample.Value, Tags(info, sample.Labels)));
        if (info.Kind == MetricKind.Counter) _meter.CreateObservableCounter(name, Measure, info.Unit, info.Help);
        else _meter.CreateObservableGauge(name, Measure, info.Unit, info.Help);
    }

    public void Observe(MetricInfo info, Func<double> read) => Observe(info, () => [new MetricSample(read())]);

    /// <summary>Prometheus' text format 0.0.4; vLLM's names behind ours.</summary>
    public string ToPrometheus()
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        var common = _common();
        foreach (var source in _sources)
        {
            var info = source.Info;
            var isForeign = info.Name.Contains(':', StringComparison.Ordinal);
            Write(text, source, info.Name, isForeign ? _aliasCommon : common);
            if (info.Alias is { } alias) Write(text, source, alias, _aliasCommon);
        }

        return text.ToString();
    }

    public void Dispose() => _meter.Dispose();

    private static void Write(
        TextWriter text, Source source, string name, IReadOnlyList<(string Name, string Value)> common)
    {
        var info = source.Info;
        PrometheusText.WriteHead(text, name, info);
        if (source.Histograms is { } family)
        {
            foreach (var (labels, series) in family.Series)
                PrometheusText.WriteHistogram(text, name, [.. common, .. Zip(info, labels)], series.Look());
            return;
        }

        foreach (var sample in source.Samples!())
            PrometheusText.WriteSample(text, name, [.. common, .. Zip(info, sample.Labels)], sample.Value);
    }

    private static IEnumerable<(string Name, string Value)> Zip(MetricInfo info, string[] labels) =>
        info.Labels.Zip(labels ?? []);

    private static IEnumerable<KeyValuePair<string, object?>> Tags(MetricInfo info, string[] labels) =>
        Zip(info, labels).Select(label => new KeyValuePair<string, object?>(label.Name, label.Value));
}
