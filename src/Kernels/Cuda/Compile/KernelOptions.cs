using Krewe.Abstractions;

namespace Krewe.Kernels.Cuda;

/// <summary>What one compilation of the kernels is for.</summary>
/// <param name="HeadDim">Of the model's heads, a multiple of 16 up to 256.</param>
/// <param name="Format">Weights, activations and, but for <paramref name="Int8Kv"/>, KV: BF16 or F16.</param>
/// <param name="Int8Kv">KV lies in memory as <see cref="KvFormat.Int8"/>.</param>
/// <param name="Wgmma">With the kernels for Hopper's warpgroup products: for sm_90 only.</param>
public sealed record KernelOptions(int HeadDim, KvFormat Format, bool Int8Kv = false, bool Wgmma = false)
{
    public const int HeadDimMax = 256;

    /// <summary>Beyond, sums of 64 rows do not fit a warpgroup's registers.</summary>
    public const int WgmmaHeadDimMax = 128;

    /// <summary>Of the KV in memory.</summary>
    public KvFormat KvFormat => Int8Kv ? KvFormat.Int8 : Format;

    /// <summary>Null where the kernels can be compiled for these options, else what is wrong.</summary>
    public string? Refusal() => this switch
    {
        { HeadDim: var dim } when dim % 16 != 0 || dim is < 16 or > HeadDimMax =>
            $"The GPU's kernels take head dimensions of 16 to {HeadDimMax} in steps of 16; this model has {dim}.",
        { Format: not (KvFormat.BF16 or KvFormat.F16) } =>
            $"The GPU's kernels compute in BF16 or F16, not in {Format}: use --kv-format bf16 or --device cpu.",
        { Wgmma: true, HeadDim: var dim and > WgmmaHeadDimMax } =>
            $"its kernel takes heads of up to {WgmmaHeadDimMax}, and this model's have {dim}",
        _ => null,
    };

    /// <summary>NVRTC's options but for the architecture.</summary>
    public IReadOnlyList<string> ToCompiler() =>
    [
        "-std=c++17",
        // Where a product and a sum are one rounding is written in the sources: the same bits in every kernel.
        "-fmad=false",
        $"-DHEAD_DIM={HeadDim}",
        $"-DELEMENT_F16={(Format == KvFormat.F16 ? 1 : 0)}",
        $"-DKV_INT8={(Int8Kv ? 1 : 0)}",
        $"-DWGMMA={(Wgmma ? 1 : 0)}",
    ];
}
