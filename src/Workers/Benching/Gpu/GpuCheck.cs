using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>All that <c>krewe gpucheck</c> does on one GPU, one row after the other.</summary>
public static class GpuCheck
{
    /// <summary>Heads of the kernels that are checked and measured alone.</summary>
    private const int HeadDim = 128;

    /// <param name="bundled">The bundled model: exactness beside the CPU.</param>
    /// <param name="measured">Models whose steps are measured; may be none.</param>
    /// <exception cref="CudaException">A GPU or library is missing.</exception>
    public static IEnumerable<GpuRow> Run(
        ModelFolder bundled, IReadOnlyList<ModelFolder> measured, CudaOptions options, GpuSizes sizes,
        long kvMemoryBytes, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(measured);
        var libraries = CudaModelRunner.LibrariesOf(options);
        var bandwidth = 0.0;
        using (var gpu = new GpuBench(libraries, options.Devices[0], HeadDim, options.CacheDirectory))
        {
            var info = gpu.Device.Info;
            yield return new GpuRow(
                "GPU", null, $"{info.Name}, sm_{info.Architecture}, {info.MemoryBytes >> 30} GiB, NVRTC "
                    + $"{gpu.Compiler.Version}, kernels {gpu.Kernels.Target}");
            foreach (var row in new GpuKernelChecks(gpu).Run()) yield return row;
            using var library = TryCublas(gpu, libraries);
            var speed = new GpuSpeed(gpu, sizes, library);
            foreach (var row in speed.Run()) yield return row;
            bandwidth = speed.Bandwidth;
        }

        foreach (var row in new GpuModelChecks(bundled, options, time).Exactness(CudaProducts.Exact)) yield return row;
        if (sizes != GpuSizes.Small && libraries.TryLoad(CudaLibrary.Blas, out _) is not null)
        {
            foreach (var row in new GpuModelChecks(bundled, options, time).Exactness(CudaProducts.CublasLt))
                yield return row;
        }

        foreach (var model in measured)
        {
            foreach (var row in new GpuModelChecks(model, options, time).Speed(bandwidth, kvMemoryBytes, [2048, 8192]))
                yield return row;
        }
    }

    private static CublasLt? TryCublas(GpuBench gpu, CudaLibraries libraries) =>
        libraries.TryLoad(CudaLibrary.Blas, out _) is null
            ? null
            : new CublasLt(gpu.Device, libraries, KvFormat.BF16);
}
