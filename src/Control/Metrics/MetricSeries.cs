using System.Diagnostics.Metrics;

namespace Krewe.Control.Metrics;

/// <summary>One counter with its label values. Any thread; adding allocates nothing.</summary>
public sealed class CounterSeries
{
    private long _value;

    public long Value => Interlocked.Read(ref _value);

    public void Add(long amount = 1) => Interlocked.Add(ref _value, amount);
}

/// <summary>One histogram with its label values. Any thread; recording allocates nothing.</summary>
public sealed class HistogramSeries
{
    private readonly double[] _bounds;
    private readonly long[] _buckets;
    private readonly Histogram<double>? _instrument;
    private readonly KeyValuePair<string, object?>[] _tags;
    private long _sumBits;

    internal HistogramSeries(
        MetricInfo info, Histogram<double>? instrument, IEnumerable<KeyValuePair<string, object?>> tags)
    {
        _bounds = [.. info.Bounds];
        _buckets = new long[_bounds.Length + 1];
        _instrument = instrument;
        _tags = [.. tags];
    }

    public void Record(double value)
    {
        var bucket = 0;
        while (bucket < _bounds.Length && value > _bounds[bucket]) bucket++;
        Interlocked.Increment(ref _buckets[bucket]);
        long before, after;
        do
        {
            before = Interlocked.Read(ref _sumBits);
            after = BitConverter.DoubleToInt64Bits(BitConverter.Int64BitsToDouble(before) + value);
        }
        while (Interlocked.CompareExchange(ref _sumBits, after, before) != before);

        if (_instrument is { Enabled: true }) _instrument.Record(value, _tags.AsSpan());
    }

    public void Record(TimeSpan time) => Record(Math.Max(0, time.TotalSeconds));

    /// <summary>So far. Values that are being recorded may be missing.</summary>
    public HistogramCounts Look()
    {
        var buckets = new long[_buckets.Length];
        for (var i = 0; i < buckets.Length; i++) buckets[i] = Interlocked.Read(ref _buckets[i]);
        return new HistogramCounts(
            [.. _bounds], [.. buckets], BitConverter.Int64BitsToDouble(Interlocked.Read(ref _sumBits)));
    }
}

/// <summary>A value seen at the moment of a look.</summary>
/// <param name="Value">In the unit of the metric's name.</param>
/// <param name="Labels">Values of its labels, in their order.</param>
public readonly record struct MetricSample(double Value, params string[] Labels);
