namespace Krewe.Simulation;

/// <summary>
/// Step time from arithmetic and bytes alone: each product takes the larger of its flops over peak and its bytes over
/// bandwidth, at usual efficiencies. For GPUs and models that nobody measured.
/// </summary>
public sealed class RooflineCost(Deployment deployment) : IStepCost
{
    // What well-tuned kernels reach of the data sheet (aiconfigurator's bandwidth factor; MFU of large products).
    private const double BandwidthShare = 0.8;
    private const double FlopsShare = 0.6;
    private const double AttentionFlopsShare = 0.45;

    // Two launches and an all-reduce a layer even under CUDA graphs, and the engine's own work between steps.
    private const double LayerOverheadSeconds = 12e-6;
    private const double StepOverheadSeconds = 1.2e-3;

    private readonly double _flops = FlopsShare * deployment.TensorParallel
        * (deployment.WeightBytes == 1 ? deployment.Gpu.Fp8FlopsPerSecond : deployment.Gpu.Bf16FlopsPerSecond);

    private readonly double _attentionFlops =
        AttentionFlopsShare * deployment.TensorParallel * deployment.Gpu.Bf16FlopsPerSecond;

    private readonly double _bandwidth = BandwidthShare * deployment.TensorParallel * deployment.Gpu.BytesPerSecond;

    public string Source =>
        $"roofline of {deployment.Model.Name} on {deployment.TensorParallel} x {deployment.Gpu.Name}";

    public double StepSeconds(in StepLoad load)
    {
        var model = deployment.Model;
        var head = 2.0 * model.Vocabulary * model.Hidden;
        var flops = (2.0 * model.LayerParameters * load.Tokens) + (head * load.LogitRows);
        var bytes = (double)(model.LayerParameters + ((long)model.Vocabulary * model.Hidden)) * deployment.WeightBytes;
        var dense = Math.Max(flops / _flops, bytes / _bandwidth);
        var decode = load.DecodeContextTokens * (double)deployment.KvBytesPerToken / _bandwidth;
        return dense + decode + (load.PrefillAttentionSeconds * model.Layers)
            + (model.Layers * (LayerOverheadSeconds + AllReduceSeconds(load.Tokens))) + StepOverheadSeconds;
    }

    public double PrefillAttentionSeconds(int rows, int past)
    {
        // Scores and values: 4 flops a (query, key) pair and channel, half of the chunk's own square is masked.
        var model = deployment.Model;
        var pairs = rows * (past + (rows / 2.0));
        return 4 * pairs * model.Heads * model.HeadDim / _attentionFlops;
    }

    // Two all-reduces a layer of tokens x hidden numbers, each moved about twice over the link.
    private double AllReduceSeconds(int tokens) => deployment.TensorParallel == 1
        ? 0
        : 2 * (5e-6 + (2.0 * tokens * deployment.Model.Hidden * 2 / deployment.Gpu.LinkBytesPerSecond));
}
