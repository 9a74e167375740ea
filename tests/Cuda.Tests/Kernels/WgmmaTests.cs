using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>
/// Prefill attention by Hopper's wgmma on the emulated GPU, which reads operands by their descriptors: the bits of
/// mma.sync and of decode, whatever the shapes; and faults that such code has, put in on purpose, are caught.
/// </summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class WgmmaTests : IDisposable
{
    private const string Kernel = "attention_prefill_wgmma.cu";
    private const string Wgmma = "wgmma.cuh";

    private const string Barrier =
        "// Behind it the stage is there, and nobody reads the other one or the expanded tile any more.\n"
            + "        __syncthreads();";

    private static readonly KernelOptions Usual = new(64, KvFormat.BF16, Wgmma: true);

    private readonly Gpu _gpu = new();

    public void Dispose() => _gpu.Dispose();

    [EmulatedTheory]
    [InlineData(1, 4, 4, null, 64, 16, KvFormat.BF16, false)]
    [InlineData(65, 7, 1, 33, 64, 32, KvFormat.BF16, false)]
    [InlineData(130, 12, 2, null, 64, 48, KvFormat.BF16, false)]
    [InlineData(530, 2, 1, null, 64, 16, KvFormat.BF16, false)]
    [InlineData(1040, 2, 1, 540, 128, 16, KvFormat.BF16, false)]
    [InlineData(90, 20, 1, null, 96, 16, KvFormat.BF16, false)]
    [InlineData(90, 3, 1, null, 48, 16, KvFormat.F16, false)]
    [InlineData(150, 7, 1, 100, 64, 48, KvFormat.BF16, true)]
    public void Its_bits_are_those_of_mma_and_of_decode(
        int context, int heads, int kvHeads, int? window, int dim, int blockTokens, KvFormat format, bool int8Kv)
    {
        var kernels = Attention(new KernelOptions(dim, format, int8Kv, Wgmma: true));
        var it = new AttentionCase(
            _gpu, new Random(context), context, heads, kvHeads, window, dim, blockTokens,
            int8Kv ? KvFormat.Int8 : format);
        var rows = Math.Min(context, 50);
        kernels.UsesWgmma = false;
        var expected = it.Prefill(kernels, rows);
        Assert.Null((int8Kv ? it.Expanded() : it).Problem(expected, rows));
        Assert.True(Near.SameBits(it.Decode(kernels, 1), expected.AsSpan(^(heads * dim)..)));
        kernels.UsesWgmma = true;

        // Operands are read at the wait, at the issue, and with threads in a random order.
        foreach (var order in new[] { 0, 1, 4 })
        {
            _gpu.Emulator.Set(order);
            Assert.True(Near.SameBits(it.Prefill(kernels, rows), expected), $"order {order}");
        }

        var few = Math.Min(rows, 3);
        Assert.True(Near.SameBits(it.Prefill(kernels, few), expected.AsSpan(^(few * heads * dim)..)));
    }

    [EmulatedTheory]
    [InlineData(Wgmma, "simt::wgmma_fence();", "", "without wgmma.fence")]
    [InlineData(Wgmma, "simt::wgmma_wait(0);", "", null)]
    [InlineData(Wgmma, "simt::proxy_fence();", "", "has not fenced")]
    [InlineData(Wgmma, "ROW_BYTES == 128 ? 1", "ROW_BYTES == 128 ? 2", null)]
    [InlineData(Wgmma, "8 * ROW_BYTES / 16", "16 * ROW_BYTES / 16", null)]
    [InlineData("attention_prefill.cuh", "Multiply::publish();\n        " + Barrier,
        "{}\n        __syncthreads(); Multiply::publish();", "no barrier behind")]
    [InlineData(Kernel, "score[n][i] = 0;\n        wgmma_begin(score[0], TILE_KEYS / 2);",
        "score[n][i] = 1;\n        wgmma_begin(score[0], TILE_KEYS / 2); score[1][2] = 0;", "behind wgmma.fence")]
    [InlineData(Kernel, "wgmma_end(state.sum[0]", "state.sum[1][1] = 0; wgmma_end(state.sum[0]",
        "while it was under way")]
    [InlineData(Kernel, "wgmma_end(state.sum[0]", "weight[3][2] = 0; wgmma_end(state.sum[0]", null)]
    [InlineData(Kernel, "wgmma<KeyRow>(", "if (threadIdx.x != 7 || k != 1) wgmma<KeyRow>(", "different wgmma")]
    public void A_fault_is_caught(string file, string right, string wrong, string? error)
    {
        var it = new AttentionCase(_gpu, new Random(2), 200, 4, 1, null, 64, 16, KvFormat.BF16);
        using var broken = Compile(Usual, $"#include \"{Kernel}\"\n", file, right, wrong);
        var kernels = Attention(Usual);
        var expected = it.Prefill(kernels, 40);
        Assert.Null(it.Problem(expected, 40));

        var caught = new List<string>();
        foreach (var order in new[] { 0, 1 })
        {
            _gpu.Emulator.Set(order);
            try
            {
                if (!Near.SameBits(it.Prefill(broken, 40), expected)) caught.Add("other bits");
            }
            catch (CudaException failure)
            {
                caught.Add(failure.Message);
            }
        }

        // Ends the error state.
        _gpu.Emulator.Set();
        Assert.NotEmpty(caught);
        if (error is not null) Assert.Contains(caught, message => message.Contains(error, StringComparison.Ordinal));
    }

    [EmulatedFact]
    public void A_trial_finds_equal_bits_and_those_of_other_sums()
    {
        var kernels = Attention(Usual);

        Assert.Null(WgmmaTrial.Run(_gpu.Device, kernels));
        Assert.True(kernels.UsesWgmma);
        _gpu.Emulator.Set(Emulator.OtherSums);
        var difference = WgmmaTrial.Run(_gpu.Device, kernels);
        Assert.Contains("its bits are not those of mma.sync", difference);
    }

    [EmulatedFact]
    public void A_GPU_or_a_compiler_without_wgmma_is_refused_by_name()
    {
        var (compiler, gpu) = (Nvrtc.Load(_gpu.Libraries), _gpu.Device.Info);

        Assert.Null(WgmmaTrial.Refusal(gpu, compiler, Usual));
        Assert.Contains("is sm_80", WgmmaTrial.Refusal(gpu with { Architecture = 80 }, compiler, Usual));
        Assert.Contains("have 256", WgmmaTrial.Refusal(gpu, compiler, new KernelOptions(256, KvFormat.BF16)));
        Assert.Throws<CudaException>(() => _gpu.Kernels().UsesWgmma = true);
    }

    /// <summary>The attention kernels alone: that compiles in a third of the time.</summary>
    private CudaKernels Attention(KernelOptions options) => _gpu.Own(Compile(
        options, string.Concat(new[] { "attention_decode.cu", "attention_merge.cu", "attention_prefill.cu", Kernel }
            .Select(file => $"#include \"{file}\"\n"))));

    private CudaKernels Compile(
        KernelOptions options, string main, string file = "", string right = "", string wrong = "")
    {
        KernelSource[] sources =
        [
            .. KernelSources.All.Select(source =>
            {
                if (source.Name == KernelSources.Main) return source with { Text = main };
                if (source.Name != file) return source;
                Assert.Contains(right, source.Text, StringComparison.Ordinal);
                return source with { Text = source.Text.Replace(right, wrong, StringComparison.Ordinal) };
            }),
        ];
        return new CudaKernels(
            _gpu.Device, Nvrtc.Load(_gpu.Libraries), new KernelCache(EmulatedLibraries.CacheDirectory), options,
            sources);
    }
}
