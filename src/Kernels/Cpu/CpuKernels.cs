using System.Runtime.Intrinsics;
using Krewe.Abstractions;

namespace Krewe.Kernels;

/// <summary>
/// The SIMD kernels of one vector width. All widths give the same bits; <see cref="Best"/> is the fastest here.
/// Pointers must be valid for the shapes stated; shapes are the caller's to check once, at load, not in a step.
/// </summary>
public abstract unsafe class CpuKernels
{
    /// <summary>Raised with every change that may change a bit of any result.</summary>
    public const int Version = 1;

    /// <summary>512 bits; software where the processor has less, so slow but equal.</summary>
    public static CpuKernels V512 { get; } = new CpuKernels<Lanes512, Vector512<float>>("v512+fma");

    /// <summary>256 bits.</summary>
    public static CpuKernels V256 { get; } = new CpuKernels<Lanes256, Vector256<float>>("v256+fma");

    /// <summary>128 bits.</summary>
    public static CpuKernels V128 { get; } = new CpuKernels<Lanes128, Vector128<float>>("v128+fma");

    /// <summary>The widest path that this processor runs in hardware.</summary>
    public static CpuKernels Best { get; } =
        Vector512.IsHardwareAccelerated ? V512 : Vector256.IsHardwareAccelerated ? V256 : V128;

    /// <summary>For instance "v512+fma".</summary>
    public abstract string InstructionPath { get; }

    /// <summary>Rows of every buffer that a product writes are this many floats apart, or a multiple.</summary>
    public abstract int PanelOutputs { get; }

    /// <summary>Floats of the scratch that <see cref="Attend"/> needs for each thread.</summary>
    public static int AttentionScratchFloats(int headDim) => AttentionScratch.Floats(headDim);

    /// <summary>An empty packed matrix [outputs, inputs] of this width, to be filled by
    /// <see cref="PackedMatrix.PackRows"/>, or <see cref="PackedMatrix.QuantizeRow"/> where it is INT8.</summary>
    public abstract PackedMatrix CreateMatrix(int outputs, int inputs, WeightFormat format);

    /// <summary>
    /// output = input x weights^T + bias, or output += ... when <paramref name="accumulate"/>, for the outputs of
    /// panels
    /// <paramref name="firstPanel"/> .. firstPanel + panelCount - 1. F32 accumulation, ascending inputs.
    /// </summary>
    /// <param name="input">[rows, Inputs], rows <paramref name="inputStride"/> floats apart.</param>
    /// <param name="output">Where row 0, first panel, output 0 goes; whole panels are written.</param>
    public abstract void Multiply(
        float* input, long inputStride, int rows, PackedMatrix weights, int firstPanel, int panelCount, float* output,
        long outputStride, bool accumulate);

    /// <summary>target = input / sqrt(mean(input^2) + epsilon) * weight over [count]; in place allowed.</summary>
    public abstract void RmsNorm(float* input, float* weight, int count, float epsilon, float* target);

    /// <summary>Rotates one head [2 * half] in place by angles given as cosine and sine [half], then scales
    /// it.</summary>
    public abstract void Rotate(float* head, float* cosine, float* sine, int half, float scale);

    /// <summary>Rounds a token's keys and values, [KvHeads * HeadDim] each, to the cache's format and stores them in
    /// slot <paramref name="slot"/> of the block that starts at <paramref name="block"/>.</summary>
    public abstract void StoreKv(
        byte* block, in KvGeometry geometry, int layer, int slot, float* keys, float* values);

    /// <summary>target = silu(gate) * up over [count], a multiple of 16.</summary>
    public abstract void SwiGlu(float* gate, float* up, int count, float* target);

    /// <summary>weights = e^((logits - maximum) / temperature) over [count], a multiple of 16.</summary>
    public abstract void SoftmaxWeights(float* logits, int count, float maximum, float temperature, float* weights);

    /// <summary>Softmax(query x keys) x values; see <see cref="AttentionWork"/>.</summary>
    public abstract void Attend(in AttentionWork work);
}

/// <summary><see cref="CpuKernels"/> compiled for one vector type.</summary>
internal sealed unsafe class CpuKernels<TOps, TV>(string instructionPath) : CpuKernels
    where TOps : ILanes<TV>
    where TV : struct
{
    public override string InstructionPath { get; } = instructionPath;

    public override int PanelOutputs => 2 * TOps.Count;

    public override PackedMatrix CreateMatrix(int outputs, int inputs, WeightFormat format) =>
        new(outputs, inputs, format, TOps.Count);

    public override void Multiply(
        float* input, long inputStride, int rows, PackedMatrix weights, int firstPanel, int panelCount, float* output,
        long outputStride, bool accumulate)
    {
        var work = new LinearTile
        {
            Input = input,
            InputStride = (nint)inputStride,
            Rows = rows,
            Inputs = weights.Inputs,
            Weights = weights.Panel(firstPanel),
            PanelBytes = (nint)weights.PanelBytes,
            Panels = panelCount,
            Bias = weights.Bias + ((long)firstPanel * PanelOutputs),
            Scales = weights.Scales + ((long)firstPanel * PanelOutputs),
            Output = output,
            OutputStride = (nint)outputStride,
            Accumulate = accumulate,
        };
        CpuLinear<TOps, TV>.Multiply(work, weights.Format);
    }

    public override void RmsNorm(float* input, float* weight, int count, float epsilon, float* target) =>
        CpuRowOps<TOps, TV>.RmsNorm(input, weight, count, epsilon, target);

    public override void Rotate(float* head, float* cosine, float* sine, int half, float scale) =>
        CpuRowOps<TOps, TV>.Rotate(head, cosine, sine, half, scale);

    public override void StoreKv(
        byte* block, in KvGeometry geometry, int layer, int slot, float* keys, float* values) =>
        CpuKvWriter<TOps, TV>.Store(block, geometry, layer, slot, keys, values);

    public override void SwiGlu(float* gate, float* up, int count, float* target) =>
        CpuRowOps<TOps, TV>.SwiGlu(gate, up, count, target);

    public override void SoftmaxWeights(
        float* logits, int count, float maximum, float temperature, float* weights) =>
        CpuRowOps<TOps, TV>.SoftmaxWeights(logits, count, maximum, temperature, weights);

    public override void Attend(in AttentionWork work) => CpuAttention<TOps, TV>.Run(work);
}
