using System.Diagnostics;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>What <c>krewe gpucheck</c> is asked for.</summary>
public sealed record GpuCheckPlan
{
    /// <summary>Exactness is checked with it, beside the CPU.</summary>
    public required ModelFolder Bundled { get; init; }

    /// <summary>Models whose steps are measured.</summary>
    public IReadOnlyList<ModelFolder> Measured { get; init; } = [];

    /// <summary>Models of random weights whose steps are measured, made in <see cref="ScratchDirectory"/>.</summary>
    public IReadOnlyList<RandomModel> Shapes { get; init; } = [];

    public string ScratchDirectory { get; init; } = Path.GetTempPath();

    public required CudaOptions Options { get; init; }

    public required GpuSizes Sizes { get; init; }

    public required long KvMemoryBytes { get; init; }

    /// <summary>Starts a process that runs <see cref="GpuHolder"/> with so many bytes; null: none can be.</summary>
    public Func<long, Process>? StartHolder { get; init; }
}

/// <summary>All that <c>krewe gpucheck</c> does on one GPU, one row after the other.</summary>
public static class GpuCheck
{
    /// <summary>Heads of the kernels that are checked and measured alone.</summary>
    private const int HeadDim = 128;

    /// <summary>Prompts whose time to the first token is measured.</summary>
    private static readonly int[] Prompts = [2048, 8192];

    /// <exception cref="CudaException">A GPU or library is missing.</exception>
    public static IEnumerable<GpuRow> Run(GpuCheckPlan plan, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(time);
        var options = plan.Options;
        var libraries = CudaModelRunner.LibrariesOf(options);
        var bandwidth = 0.0;
        using (var gpu = new GpuBench(
            libraries, options.Devices[0], HeadDim, options.CacheDirectory, options.Attention))
        {
            var info = gpu.Device.Info;
            yield return new GpuRow(
                "GPU", null, $"{info.Name}, sm_{info.Architecture}, {info.MemoryBytes >> 30} GiB, NVRTC "
                    + $"{gpu.Compiler.Version}, kernels {gpu.Kernels.Target}");
            foreach (var row in new GpuKernelChecks(gpu).Run()) yield return row;
            using var library = TryCublas(gpu, libraries);
            var speed = new GpuSpeed(gpu, plan.Sizes, library);
            foreach (var row in speed.Run()) yield return row;
            // Without it steps are measured and not judged.
            bandwidth = plan.Sizes.Judged ? speed.Bandwidth : 0;
            foreach (var row in new GpuCopies(gpu, plan.Sizes, time, plan.StartHolder).Run()) yield return row;
        }

        var bundled = new GpuModelChecks(plan.Bundled, options, time);
        foreach (var row in bundled.Exactness(CudaProducts.Exact)) yield return row;
        foreach (var row in bundled.Int8Kv()) yield return row;
        if (plan.Sizes != GpuSizes.Small && libraries.TryLoad(CudaLibrary.Blas, out _) is not null)
        {
            foreach (var row in bundled.Exactness(CudaProducts.CublasLt)) yield return row;
        }

        foreach (var model in plan.Measured)
        {
            foreach (var row in Speed(plan, model, bandwidth, time)) yield return row;
        }

        foreach (var shape in plan.Shapes)
        {
            foreach (var row in Random(plan, shape, bandwidth, time)) yield return row;
        }
    }

    private static IEnumerable<GpuRow> Speed(
        GpuCheckPlan plan, ModelFolder model, double bandwidth, TimeProvider time) =>
        new GpuModelChecks(model, plan.Options, time).Speed(bandwidth, plan.KvMemoryBytes, Prompts);

    /// <summary>The rows of one shape, or why there are none: too little room on the disk or the GPU.</summary>
    private static List<GpuRow> Random(GpuCheckPlan plan, RandomModel shape, double bandwidth, TimeProvider time)
    {
        var scratch = Path.Combine(plan.ScratchDirectory, $"krewe-gpucheck-{Environment.ProcessId}");
        try
        {
            var free = new DriveInfo(plan.ScratchDirectory).AvailableFreeSpace;
            if (free < shape.Bytes * 11 / 10)
            {
                return
                [
                    new GpuRow(shape.Name, null, $"not measured: its {shape.Bytes >> 20} MiB of random weights do not "
                        + $"fit into {plan.ScratchDirectory} ({free >> 20} MiB free); name another with --scratch"),
                ];
            }

            // The folder's name is the model's.
            var folder = Path.Combine(scratch, shape.Name);
            shape.Write(folder, plan.Bundled.Directory);
            using var model = ModelFolder.Open(folder);
            return [.. Speed(plan, model, bandwidth, time)];
        }
        catch (Exception error) when (error is KreweException or IOException)
        {
            return [new GpuRow(shape.Name, null, $"not measured: {error.Message}")];
        }
        finally
        {
            if (Directory.Exists(scratch)) Directory.Delete(scratch, recursive: true);
        }
    }

    private static CublasLt? TryCublas(GpuBench gpu, CudaLibraries libraries) =>
        libraries.TryLoad(CudaLibrary.Blas, out _) is null
            ? null
            : new CublasLt(gpu.Device, libraries, KvFormat.BF16);
}
