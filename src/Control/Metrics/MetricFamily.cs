using System.Collections.Concurrent;

namespace Krewe.Control.Metrics;

/// <summary>
/// The series of one metric by their label values. Invariant: at most <see cref="SeriesMax"/> of them, whatever is
/// asked for, so that no label can fill the memory of who collects.
/// </summary>
public sealed class MetricFamily<T>(MetricInfo info, Func<string[], T> create)
    where T : class
{
    public const int SeriesMax = 256;

    /// <summary>Label values of everything beyond the most.</summary>
    private const string Other = "other";

    private readonly ConcurrentDictionary<string, (string[] Labels, T Series)> _series = new(StringComparer.Ordinal);

    public MetricInfo Info => info;

    public IEnumerable<(string[] Labels, T Series)> Series => _series.Values;

    /// <summary>The series with these label values, made when it is not there.</summary>
    /// <exception cref="ArgumentException">Not as many values as the metric has labels.</exception>
    public T Of(params string[] labels)
    {
        if (labels.Length != info.Labels.Length)
        {
            throw new ArgumentException(
                $"{info.Name} has the labels {string.Join(", ", info.Labels)}; {labels.Length} values were given.",
                nameof(labels));
        }

        var key = labels.Length == 1 ? labels[0] : string.Join('\0', labels);
        if (_series.TryGetValue(key, out var known)) return known.Series;
        if (_series.Count >= SeriesMax)
        {
            labels = [.. labels.Select(_ => Other)];
            key = string.Join('\0', labels);
        }

        return _series.GetOrAdd(key, _ => (labels, create(labels))).Series;
    }
}
