using System.Globalization;

namespace Krewe.Control.Metrics;

/// <summary>Lines of Prometheus' text exposition format 0.0.4.</summary>
public static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    internal static void WriteHead(TextWriter text, string name, MetricInfo info)
    {
        text.WriteLine($"# HELP {name} {info.Help.Replace("\\", @"\\", StringComparison.Ordinal)}");
        text.WriteLine($"# TYPE {name} {info.Kind.ToString().ToLowerInvariant()}");
    }

    internal static void WriteSample(
        TextWriter text, string name, IReadOnlyList<(string Name, string Value)> labels, double value)
    {
        text.Write(name);
        WriteLabels(text, labels);
        text.WriteLine($" {Number(value)}");
    }

    internal static void WriteHistogram(
        TextWriter text, string name, IReadOnlyList<(string Name, string Value)> labels, HistogramCounts counts)
    {
        var cumulative = 0L;
        for (var i = 0; i < counts.Buckets.Length; i++)
        {
            cumulative += counts.Buckets[i];
            var bound = i < counts.Bounds.Length ? Number(counts.Bounds[i]) : "+Inf";
            WriteSample(text, $"{name}_bucket", [.. labels, ("le", bound)], cumulative);
        }

        WriteSample(text, $"{name}_sum", labels, counts.Sum);
        WriteSample(text, $"{name}_count", labels, cumulative);
    }

    private static void WriteLabels(TextWriter text, IReadOnlyList<(string Name, string Value)> labels)
    {
        if (labels.Count == 0) return;
        for (var i = 0; i < labels.Count; i++)
        {
            text.Write(i == 0 ? '{' : ',');
            text.Write(labels[i].Name);
            text.Write("=\"");
            text.Write(Escape(labels[i].Value));
            text.Write('"');
        }

        text.Write('}');
    }

    private static string Escape(string value) => value
        .Replace("\\", @"\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal)
        .Replace("\n", "\\n", StringComparison.Ordinal);

    private static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };
}
