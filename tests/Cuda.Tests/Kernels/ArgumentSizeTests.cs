using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>The launcher's structs have the sizes of the kernels' own.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed unsafe class ArgumentSizeTests
{
    [EmulatedFact]
    public void Twins_are_of_the_same_size()
    {
        var (libraries, path) = (new CudaLibraries([EmulatedLibraries.Directory]), Path.GetTempFileName());
        var image = new KernelCache(EmulatedLibraries.CacheDirectory).Get(
            Nvrtc.Load(libraries), KernelSources.All, "sm_90", new KernelOptions(64, KvFormat.BF16));
        File.WriteAllBytes(path, image[sizeof(long)..]);
        var library = NativeLibrary.Load(path);
        File.Delete(path);
        var sizes = new Dictionary<string, int>
        {
            ["attention_decode"] = Unsafe.SizeOf<AttentionArguments>(),
            ["attention_merge"] = Unsafe.SizeOf<AttentionArguments>(),
            ["attention_prefill"] = Unsafe.SizeOf<AttentionArguments>(),
            ["block_copy"] = Unsafe.SizeOf<BlockCopyArguments>(),
            ["crc32c"] = Unsafe.SizeOf<Crc32cArguments>(),
            ["embedding"] = Unsafe.SizeOf<EmbeddingArguments>(),
            ["linear_rows_8"] = Unsafe.SizeOf<LinearArguments>(),
            ["rms_norm"] = Unsafe.SizeOf<RmsNormArguments>(),
            ["rope_kv_write"] = Unsafe.SizeOf<RopeKvWriteArguments>(),
            ["sample"] = Unsafe.SizeOf<SampleArguments>(),
            ["swiglu"] = Unsafe.SizeOf<SwigluArguments>(),
        };

        Assert.All(sizes, size => Assert.Equal(
            size.Value,
            ((delegate* unmanaged<int>)NativeLibrary.GetExport(library, $"{size.Key}_argument_bytes"))()));
    }
}
