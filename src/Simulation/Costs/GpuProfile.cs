using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Compression;

namespace Krewe.Simulation;

/// <summary>
/// Kernel times measured on one GPU (Data/README.md): dense products, attention, all-reduce. Between measured shapes it
/// interpolates what a shape reaches of the roofline, which changes slowly, not its time, which does not.
/// </summary>
internal sealed class GpuProfile
{
    private const int NeighbourShapes = 4;
    private const int WidthOfHeads = 128;

    private static readonly ConcurrentDictionary<string, GpuProfile?> Loaded = new(StringComparer.Ordinal);

    private readonly GpuShape _gpu;
    private readonly Dictionary<(int N, int K), Curve> _products = [];
    private readonly Dictionary<(int Heads, int KvHeads), Curve> _prefill = [];
    private readonly Dictionary<(int Heads, int KvHeads), SortedList<int, Curve>> _decode = [];
    private readonly Dictionary<int, Curve> _allReduce = [];
    private readonly Dictionary<int, Curve> _pointwise = [];

    private GpuProfile(GpuShape gpu, Stream stream)
    {
        _gpu = gpu;
        using var reader = new StreamReader(new GZipStream(stream, CompressionMode.Decompress));
        var rows = new List<string[]>();
        while (reader.ReadLine() is { } line) rows.Add(line.Split(','));
        foreach (var group in rows.Where(r => r[0] == "gemm").GroupBy(r => (Int(r[2]), Int(r[3]))))
            _products.Add(group.Key, new Curve(group.Select(r => (Number(r[1]), Seconds(r[4])))));
        foreach (var group in rows.Where(r => r[0] == "prefill").GroupBy(r => (Int(r[1]), Int(r[2]))))
            _prefill.Add(group.Key, new Curve(group.Select(r => (Number(r[3]), Seconds(r[4])))));
        foreach (var group in rows.Where(r => r[0] == "decode").GroupBy(r => (Int(r[1]), Int(r[2]))))
        {
            var byBatch = new SortedList<int, Curve>();
            foreach (var batch in group.GroupBy(r => Int(r[3])))
                byBatch.Add(batch.Key, new Curve(batch.Select(r => (Number(r[4]), Seconds(r[5])))));
            _decode.Add(group.Key, byBatch);
        }

        foreach (var group in rows.Where(r => r[0] == "allreduce").GroupBy(r => Int(r[1])))
            _allReduce.Add(group.Key, new Curve(group.Select(r => (Number(r[2]), Seconds(r[3])))));
        foreach (var group in rows.Where(r => r[0] == "pointwise").GroupBy(r => Int(r[1])))
            _pointwise.Add(group.Key, new Curve(group.Select(r => (Number(r[2]), Seconds(r[3])))));
    }

    /// <summary>The GPU's profile; null when nobody measured it.</summary>
    public static GpuProfile? Find(GpuShape gpu) => Loaded.GetOrAdd(gpu.Name, _ =>
    {
        using var stream = typeof(GpuProfile).Assembly
            .GetManifestResourceStream($"Krewe.Simulation.Data.{gpu.Name}.csv.gz");
        return stream is null ? null : new GpuProfile(gpu, stream);
    });

    /// <summary>
    /// Seconds of [m, k] x [k, n] for every m, from the nearest measured shapes. At 8 bits: what the same shape reaches
    /// of its roofline at 16, of the roofline at 8.
    /// </summary>
    public Func<double, double> Product(bool fp8, int n, int k)
    {
        if (!fp8 && _products.TryGetValue((n, k), out var exact)) return exact.At;
        var near = _products
            .Select(p => (p.Key.N, p.Key.K, p.Value, Distance: Distance(p.Key.N, n) + Distance(p.Key.K, k)))
            .OrderBy(p => p.Distance)
            .Take(NeighbourShapes)
            .ToArray();
        return m =>
        {
            double ratio = 0, weights = 0;
            foreach (var (nearN, nearK, curve, distance) in near)
            {
                var weight = 1 / (distance + 1e-6);
                ratio += weight * curve.At(m) / Roofline(false, m, nearN, nearK);
                weights += weight;
            }

            return ratio / weights * Roofline(fp8, m, n, k);
        };
    }

    /// <summary>Seconds of causal attention over a whole prompt of that many tokens, one layer.</summary>
    public Func<double, double> Prefill(int heads, int kvHeads)
    {
        var (shape, curve) = Nearest(_prefill, heads, kvHeads);
        var scale = (double)heads / shape.Heads;
        return tokens => scale * Beyond(curve, tokens);
    }

    /// <summary>Seconds of attention of (batch, mean context) decodes, one layer.</summary>
    public Func<double, double, double> Decode(int heads, int kvHeads)
    {
        var (shape, byBatch) = Nearest(_decode, heads, kvHeads);

        // It reads K and V once: its time goes with them.
        var scale = (double)kvHeads / shape.KvHeads;
        return (batch, context) => scale * At(byBatch, batch, context);
    }

    /// <summary>Seconds of an all-reduce of that many bytes.</summary>
    public Func<double, double> AllReduce(int gpus)
    {
        if (gpus == 1) return _ => 0;
        if (_allReduce.TryGetValue(gpus, out var curve)) return curve.At;
        return bytes => 8e-6 + (2.0 * (gpus - 1) / gpus * bytes / (0.7 * _gpu.LinkBytesPerSecond));
    }

    /// <summary>
    /// Seconds of one layer's norms, activation and rotary: measured, or four launches and the bytes they move.
    /// </summary>
    public Func<double, double> Pointwise(ModelShape model, int tensorParallel)
    {
        if (_pointwise.Count > 0)
        {
            var (hidden, curve) = _pointwise.MinBy(p => Distance(p.Key, model.Hidden));
            return tokens => curve.At(tokens) * model.Hidden / hidden;
        }

        var bytesPerToken = 2.0 * ((6 * model.Hidden)
            + (((3 * model.Intermediate) + (3 * (model.Heads + model.KvHeads) * model.HeadDim)) / tensorParallel));
        return tokens => (4 * 2e-6) + (tokens * bytesPerToken / (0.7 * _gpu.BytesPerSecond));
    }

    private static double At(SortedList<int, Curve> byBatch, double batch, double context)
    {
        var keys = byBatch.Keys;
        var above = 0;
        while (above < keys.Count && keys[above] < batch) above++;
        if (above == keys.Count) return byBatch.Values[^1].At(context) * batch / keys[^1];
        if (above == 0 || keys[above] == batch) return byBatch.Values[above].At(context);
        var part = (batch - keys[above - 1]) / (keys[above] - keys[above - 1]);
        var (low, high) = (byBatch.Values[above - 1].At(context), byBatch.Values[above].At(context));
        return low + (part * (high - low));
    }

    /// <summary>Work grows with the square: beyond the last measured length so does the time.</summary>
    private static double Beyond(Curve curve, double tokens) => tokens <= curve.Last
        ? curve.At(tokens)
        : curve.At(curve.Last) * tokens * tokens / (curve.Last * curve.Last);

    private double Roofline(bool fp8, double m, double n, double k)
    {
        var width = fp8 ? 1 : 2;
        var bytes = (width * ((m * k) + (n * k))) + (2 * m * n);
        return Math.Max(
            2 * m * n * k / (fp8 ? _gpu.Fp8FlopsPerSecond : _gpu.Bf16FlopsPerSecond), bytes / _gpu.BytesPerSecond);
    }

    private static ((int Heads, int KvHeads) Key, T Value) Nearest<T>(
        Dictionary<(int Heads, int KvHeads), T> shapes, int heads, int kvHeads)
    {
        var best = shapes.MinBy(p =>
            Distance(p.Key.Heads, heads) + Distance(p.Key.KvHeads, kvHeads)
            + Distance((double)p.Key.Heads / p.Key.KvHeads, (double)heads / kvHeads));
        return (best.Key, best.Value);
    }

    private static double Distance(double a, double b) => Math.Abs(Math.Log(a / b));

    private static int Int(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static double Seconds(string microseconds) => 1e-6 * Number(microseconds);

    // What the tables are made for; other widths are scaled by the caller's heads.
    internal static int HeadsOf128(int heads, int headDim) => Math.Max(1, heads * headDim / WidthOfHeads);
}
