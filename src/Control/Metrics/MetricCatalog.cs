namespace Krewe.Control.Metrics;

/// <summary>Every name under which the product shows a metric: what dashboards and alerts may ask for.</summary>
public static class MetricCatalog
{
    public static IReadOnlyList<MetricInfo> All { get; } = [.. SiloMetric.All.Union(WorkerMetric.All)];

    /// <summary>Names of samples: a histogram has three.</summary>
    public static IEnumerable<string> SampleNames => All.SelectMany(info =>
        info.Alias is { } alias
            ? NamesOf(info.Name, info.Kind).Concat(NamesOf(alias, info.Kind))
            : NamesOf(info.Name, info.Kind));

    private static string[] NamesOf(string name, MetricKind kind) =>
        kind == MetricKind.Histogram ? [$"{name}_bucket", $"{name}_sum", $"{name}_count"] : [name];
}
