using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Driver;

/// <summary>NVIDIA's own compiler takes every kernel, where it is installed: for each architecture that it knows.
/// </summary>
public sealed class NvrtcTests
{
    [NvrtcFact(80)]
    public void Every_kernel_compiles_for_sm_80() => Compile(80);

    [NvrtcFact(90)]
    public void Every_kernel_compiles_for_sm_90() => Compile(90);

    /// <summary>Sums stay in registers, and no product waits for the one before: the assembler would warn.</summary>
    [NvrtcFact(90, wgmma: true)]
    public void Prefill_attention_by_wgmma_compiles_for_sm_90a_without_spilling()
    {
        var compiler = Nvrtc.Load(NvrtcFactAttribute.Libraries);
        KernelSource[] sources =
        [
            .. KernelSources.All.Where(source => source.Name != KernelSources.Main),
            new(KernelSources.Main, "#include \"attention_prefill_wgmma.cu\"\n"),
        ];
        foreach (var options in new KernelOptions[]
        {
            new(128, KvFormat.BF16, Wgmma: true), new(64, KvFormat.F16, Wgmma: true),
            new(128, KvFormat.BF16, Int8Kv: true, Wgmma: true), new(80, KvFormat.BF16, Wgmma: true),
        })
        {
            var image = compiler.Compile(sources, "sm_90a", [.. options.ToCompiler(), "--ptxas-options=-v"]);
            Assert.Contains(
                "attention_prefill_wgmma", System.Text.Encoding.Latin1.GetString(image), StringComparison.Ordinal);
            var log = compiler.LastLog;
            Assert.DoesNotContain("Potential Performance Loss", log, StringComparison.OrdinalIgnoreCase);
            var properties = log[log.IndexOf("properties for attention_prefill_wgmma", StringComparison.Ordinal)..];
            Assert.Contains("0 bytes spill stores", properties[..properties.IndexOf("Used", StringComparison.Ordinal)]);
        }
    }

    [NvrtcFact(100)]
    public void Every_kernel_compiles_for_sm_100() => Compile(100);

    [NvrtcFact(80)]
    public void A_kernel_that_is_no_CUDA_is_refused_with_the_compilers_words()
    {
        KernelSource[] broken = [new(KernelSources.Main, "extern \"C\" __global__ void f() { not_there(); }")];

        var refusal = Assert.Throws<CudaException>(
            () => Nvrtc.Load(NvrtcFactAttribute.Libraries).Compile(broken, "sm_80", []));
        Assert.Contains("not_there", refusal.Message);
    }

    private static void Compile(int architecture)
    {
        var compiler = Nvrtc.Load(NvrtcFactAttribute.Libraries);
        foreach (var options in new KernelOptions[]
        {
            new(128, KvFormat.BF16), new(64, KvFormat.F16), new(128, KvFormat.BF16, Int8Kv: true),
        })
        {
            var image = compiler.Compile(KernelSources.All, $"sm_{architecture}", options.ToCompiler());
            // Machine code in an ELF file.
            Assert.Equal("\u007fELF"u8, image.AsSpan(0, 4));
            var text = System.Text.Encoding.Latin1.GetString(image);
            Assert.Contains("attention_prefill", text, StringComparison.Ordinal);
            Assert.Contains("linear_int8_tiled_chunked", text, StringComparison.Ordinal);
        }
    }
}

/// <summary>A test with the NVRTC that is installed; skipped, with the reason, where it is missing or too
/// old.</summary>
internal sealed class NvrtcFactAttribute : FactAttribute
{
    public NvrtcFactAttribute(int architecture, bool wgmma = false)
    {
        try
        {
            var compiler = Nvrtc.Load(Libraries);
            if (!compiler.Architectures.Contains(architecture))
                Skip = $"NVRTC {compiler.Version} does not know sm_{architecture}";
            else if (wgmma && !compiler.KnowsWgmma) Skip = $"NVRTC {compiler.Version} does not know sm_90a";
        }
        catch (CudaException missing)
        {
            Skip = missing.Message;
        }
    }

    public static CudaLibraries Libraries { get; } = new(CudaLibraries.FromEnvironment());
}
