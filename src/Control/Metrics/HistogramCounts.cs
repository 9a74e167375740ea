using System.Collections.Immutable;

namespace Krewe.Control.Metrics;

/// <summary>What a histogram has counted so far, or, as a difference of two looks, between them.</summary>
/// <param name="Bounds">Upper bounds of the buckets but the last.</param>
/// <param name="Buckets">Values in each bucket, not cumulative; one more than bounds.</param>
/// <param name="Sum">Of the values.</param>
public sealed record HistogramCounts(ImmutableArray<double> Bounds, ImmutableArray<long> Buckets, double Sum)
{
    public long Count => Buckets.Sum();

    /// <summary>What came since an earlier look at the same histogram.</summary>
    public HistogramCounts Since(HistogramCounts before) => new(
        Bounds, [.. Buckets.Select((count, i) => count - before.Buckets[i])], Sum - before.Sum);

    /// <summary>
    /// The value below which the share <paramref name="q"/> lies, evenly spread inside its bucket as Prometheus reckons
    /// it; the last bound for what lies beyond it; null without values.
    /// </summary>
    /// <param name="q">0 to 1.</param>
    public double? Quantile(double q)
    {
        var rank = q * Count;
        if (Count == 0) return null;
        var below = 0L;
        for (var i = 0; i < Bounds.Length; i++)
        {
            if (Buckets[i] > 0 && below + Buckets[i] >= rank)
            {
                var lower = i == 0 ? 0 : Bounds[i - 1];
                return lower + ((Bounds[i] - lower) * ((rank - below) / Buckets[i]));
            }

            below += Buckets[i];
        }

        return Bounds[^1];
    }
}
