namespace Krewe.Simulation;

/// <summary>
/// Step time from measured kernels: the layer's four products, attention, all-reduces and pointwise work, and the
/// output matrix. Built once into tables, so that a step takes a few look-ups.
/// </summary>
public sealed class MeasuredCost : IStepCost
{
    private static readonly int[] TokenGrid =
    [
        1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1280, 1536, 2048,
        2560, 3072, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768, 65_536,
    ];

    private static readonly int[] BatchGrid =
        [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024];

    private readonly Curve _layers;
    private readonly Curve _output;
    private readonly Curve _prefill;
    private readonly Func<double, double, double> _decode;
    private readonly int _layerCount;
    private readonly EngineOverhead _overhead;

    private MeasuredCost(Deployment deployment, GpuProfile profile, EngineOverhead overhead)
    {
        var (model, tp) = (deployment.Model, deployment.TensorParallel);
        var fp8 = deployment.WeightBytes == 1;
        _overhead = overhead;
        _layerCount = model.Layers;
        var heads = GpuProfile.HeadsOf128(model.Heads / tp, model.HeadDim);
        var kvHeads = GpuProfile.HeadsOf128(Math.Max(1, model.KvHeads / tp), model.HeadDim);
        var query = profile.Product(fp8, (heads + (2 * kvHeads)) * 128, model.Hidden);
        var projection = profile.Product(fp8, model.Hidden, heads * 128);
        var up = profile.Product(fp8, (model.FeedForwardMatrices - 1) * model.Intermediate / tp, model.Hidden);
        var down = profile.Product(fp8, model.Hidden, model.Intermediate / tp);
        var reduce = profile.AllReduce(tp);
        var pointwise = profile.Pointwise(model, tp);
        _layers = new Curve(TokenGrid.Select(m => ((double)m, model.Layers * (
            query(m) + projection(m) + up(m) + down(m) + pointwise(m) + (2 * reduce(2.0 * m * model.Hidden))))));
        var output = profile.Product(false, model.Vocabulary / tp, model.Hidden);
        _output = new Curve(BatchGrid.Select(m => ((double)m, output(m))));
        var prefill = profile.Prefill(heads, kvHeads);
        _prefill = new Curve(TokenGrid.Select(m => ((double)m, prefill(m))));
        _decode = profile.Decode(heads, kvHeads);

        // An 8-bit cache halves what attention reads.
        if (deployment.KvBytes == 1)
        {
            var full = _decode;
            _decode = (batch, context) => full(batch, context / 2);
        }

        Source = $"measured kernels of {deployment.Gpu.Name}, {model.Name} x {tp}, {(fp8 ? "fp8" : "bf16")} weights";
    }

    public string Source { get; }

    /// <summary>Null when the GPU was not measured.</summary>
    public static MeasuredCost? TryCreate(Deployment deployment, EngineOverhead? overhead = null) =>
        GpuProfile.Find(deployment.Gpu) is { } profile
            ? new MeasuredCost(deployment, profile, overhead ?? EngineOverhead.Usual)
            : null;

    public double StepSeconds(in StepLoad load)
    {
        var decode = load.DecodeSequences == 0
            ? 0
            : _layerCount * _decode(load.DecodeSequences, (double)load.DecodeContextTokens / load.DecodeSequences);
        return (_overhead.Slowdown * (_layers.At(load.Tokens) + decode + (_layerCount * load.PrefillAttentionSeconds)
            + (load.LogitRows == 0 ? 0 : _output.At(load.LogitRows))))
            + _overhead.StepSeconds + (_overhead.SequenceSeconds * (load.DecodeSequences + load.PrefillSequences));
    }

    /// <summary>
    /// The tables hold whole prompts; a chunk over a past is as much work as a prompt of
    /// sqrt(rows^2 + 2 rows past) tokens.
    /// </summary>
    public double PrefillAttentionSeconds(int rows, int past) =>
        _prefill.At(Math.Sqrt(((double)rows * rows) + (2.0 * rows * past)));
}

/// <summary>What an engine adds to its kernels.</summary>
/// <param name="StepSeconds">Scheduling, sampling and launches that do not overlap, each step.</param>
/// <param name="SequenceSeconds">The same for each sequence of the step.</param>
/// <param name="Slowdown">Kernels in a step over kernels alone in a benchmark: gaps, colder caches, clocks.</param>
public sealed record EngineOverhead(double StepSeconds, double SequenceSeconds, double Slowdown)
{
    public static EngineOverhead Usual { get; } = new(0.0015, 8e-6, 1.05);
}
