using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Reference;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>The positive control: faults that GPU code has, put into the sources on purpose, must be caught.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class BrokenKernelTests : IDisposable
{
    private readonly Gpu _gpu = new();

    public void Dispose() => _gpu.Dispose();

    [EmulatedTheory]
    [InlineData("attention.cuh", "position <= seen_to[j / 2]", "position < seen_to[j / 2]", "a mask that is one off")]
    [InlineData(
        "attention.cuh", "&& last <= seen_to[0] && last <= seen_to[1]", "", "a tile taken for one that is seen whole")]
    [InlineData(
        "attention_prefill.cuh", "copy_async_wait<0>();", "copy_async_wait<1>();", "a copy not waited for")]
    [InlineData("attention_tile.cuh", "position + key >= end", "position + key > end && position < end",
        "what lies behind the last token")]
    public void Attention_with_a_fault_is_caught(string file, string right, string wrong, string fault)
    {
        using var broken = Broken("attention_prefill.cu", file, right, wrong);
        var it = new AttentionCase(_gpu, new Random(2), 40, 2, 1, null, 64, 16, KvFormat.BF16);

        Assert.Null(it.Problem(it.Prefill(_gpu.Kernels(), 40), 40));
        var problem = it.Problem(it.Prefill(broken, 40), 40);
        Assert.True(problem is not null, $"not caught: {fault}");
    }

    [EmulatedTheory]
    [InlineData("copy_async_wait<0>();", "copy_async_wait<1>();", "a copy not waited for")]
    [InlineData("__syncthreads();\n        const float2* all", "const float2* all", "scores of another warp too early")]
    [InlineData(
        "copy_async_wait<0>();\n        // Everybody's", "copy_async_wait<0>();\n        if (0) // E", "no barrier")]
    public void Decode_attention_with_a_fault_is_caught(string right, string wrong, string fault)
    {
        using var broken = Broken("attention_decode.cu", "attention_decode.cu", right, wrong);
        var it = new AttentionCase(_gpu, new Random(2), 200, 2, 1, null, 64, 16, KvFormat.BF16);
        Assert.Null(it.Problem(it.Decode(_gpu.Kernels(), 40), 40));
        var caught = new[] { 0, 1, 7 }.Count(order =>
        {
            _gpu.Emulator.Set(order);
            return it.Problem(it.Decode(broken, 40), 40) is not null;
        });
        Assert.True(caught > 0, $"not caught: {fault}");
    }

    [EmulatedFact]
    public void Attention_over_INT8_with_another_tokens_scale_is_caught()
    {
        var options = new KernelOptions(64, KvFormat.BF16, Int8Kv: true);
        using var broken = Broken(
            "attention_prefill.cu", "attention_tile.cuh", "key_scales + slot,", "key_scales,", options);
        var it = new AttentionCase(_gpu, new Random(2), 40, 2, 1, null, 64, 16, KvFormat.Int8);
        var expected = it.Expanded().Prefill(_gpu.Kernels(), 40);

        Assert.True(Near.SameBits(it.Prefill(_gpu.Kernels(options), 40), expected));
        Assert.False(Near.SameBits(it.Prefill(broken, 40), expected));
    }

    [EmulatedFact]
    public void A_missing_barrier_is_caught()
    {
        using var broken = Broken(
            "rms_norm.cu", "krewe.cuh", "= value;\n    __syncthreads();\n    float sum", "= value;\n    float sum");

        Assert.True(NormIsRight(_gpu.Kernels(), order: 0));
        Assert.True(NormIsRight(_gpu.Kernels(), order: 1));
        Assert.False(NormIsRight(broken, order: 0) && NormIsRight(broken, order: 1));
    }

    [EmulatedFact]
    public void A_barrier_that_some_threads_leave_out_ends_the_launch()
    {
        using var broken = Broken(
            "rms_norm.cu", "krewe.cuh", "    __syncthreads();\n    float sum",
            "    if (threadIdx.x != 40) __syncthreads();\n    __syncthreads();\n    float sum");
        var failure = Assert.Throws<CudaException>(() => NormIsRight(broken, order: 0));

        // The context is broken for good; whoever gives it back would fail.
        _gpu.Emulator.Set();
        Assert.Equal(719, failure.Status);
        Assert.Contains("cuStreamSynchronize", failure.Message);
        Assert.Contains("rms_norm", failure.Message);
    }

    private bool NormIsRight(CudaKernels kernels, int order)
    {
        _gpu.Emulator.Set(order);
        const int Hidden = 200;
        var residual = RandomData.Floats(new Random(4), Hidden);
        var weight = RandomData.Floats(new Random(5), Hidden);
        var output = _gpu.Poisoned<ushort>(224);
        kernels.RmsNorm(
            _gpu.Stream, _gpu.Upload(residual), Hidden, Partials.None, _gpu.Upload(weight), Hidden, 1e-5f, output, 224,
            0, _gpu.Upload(1), 1);
        var actual = Elements.ToFloats(_gpu.Download<ushort>(output, Hidden), KvFormat.BF16);
        var expected = RandomData.Doubles(residual);
        ReferenceRmsNorm.Normalize(expected, weight, 1e-5, expected);
        return actual.Zip(expected).All(pair =>
            Math.Abs(pair.First - pair.Second) <= 1e-6 + (Math.Abs(pair.Second) * Elements.Rounding(KvFormat.BF16)));
    }

    /// <param name="kernel">The only operation that is compiled: that is quicker.</param>
    private CudaKernels Broken(
        string kernel, string file, string right, string wrong, KernelOptions? options = null)
    {
        KernelSource[] sources =
        [
            .. KernelSources.All.Select(source =>
            {
                if (source.Name == KernelSources.Main) return source with { Text = $"#include \"{kernel}\"\n" };
                if (source.Name != file) return source;
                Assert.Contains(right, source.Text, StringComparison.Ordinal);
                return source with { Text = source.Text.Replace(right, wrong, StringComparison.Ordinal) };
            }),
        ];
        return new CudaKernels(
            _gpu.Device, Nvrtc.Load(_gpu.Libraries), new KernelCache(EmulatedLibraries.CacheDirectory),
            options ?? new KernelOptions(64, KvFormat.BF16), sources);
    }
}
