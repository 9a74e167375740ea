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
    public Func<CudaOptions, long, Process>? StartHolder { get; init; }
}

/// <summary>Parts of <c>krewe gpucheck</c>, what matters most first. Each can run in a process of its own: a kernel
/// that faults takes its process's context along, and the other parts shall be measured all the same.</summary>
public enum GpuArea
{
    /// <summary>Each kernel against the reference.</summary>
    Kernels,

    /// <summary>Hopper's kernel for prefill attention, beside the one for all GPUs.</summary>
    Wgmma,

    /// <summary>The bundled model beside the CPU.</summary>
    Exactness,

    /// <summary>Kernels beside the machine's limits.</summary>
    Speed,

    /// <summary>Steps and prompts of models.</summary>
    Steps,

    /// <summary>KV to the host and to another process.</summary>
    Copies,

    /// <summary>Exactness and steps with kernels that begin while those before them end.</summary>
    Overlap,

    /// <summary>Exactness with cuBLASLt's products.</summary>
    Cublaslt,
}

/// <summary>All that <c>krewe gpucheck</c> does on one GPU, one row after the other.</summary>
public static class GpuCheck
{
    /// <summary>Heads of the kernels that are checked and measured alone.</summary>
    private const int HeadDim = 128;

    /// <summary>All areas, in their order.</summary>
    /// <exception cref="CudaException">A GPU or library is missing.</exception>
    public static IEnumerable<GpuRow> Run(GpuCheckPlan plan, TimeProvider time) =>
        Enum.GetValues<GpuArea>().SelectMany(area => Run(plan, area, time));

    /// <summary>The rows of one area, as they come.</summary>
    /// <exception cref="CudaException">A GPU or library is missing.</exception>
    public static IEnumerable<GpuRow> Run(GpuCheckPlan plan, GpuArea area, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(time);
        return area switch
        {
            GpuArea.Kernels => Kernels(plan),
            GpuArea.Wgmma => Wgmma(plan),
            GpuArea.Exactness => Exactness(plan, time),
            GpuArea.Speed => Speed(plan),
            GpuArea.Steps => Steps(plan, time),
            GpuArea.Copies => Copies(plan, time),
            GpuArea.Overlap => Overlap(plan with { Options = plan.Options with { Overlap = true } }, time),
            GpuArea.Cublaslt => Cublaslt(plan, time),
            _ => throw new ArgumentOutOfRangeException(nameof(area), area, null),
        };
    }

    private static IEnumerable<GpuRow> Kernels(GpuCheckPlan plan)
    {
        using var gpu = Open(plan, CudaAttention.Mma);
        var info = gpu.Device.Info;
        yield return new GpuRow(
            "GPU", null, $"{info.Name}, sm_{info.Architecture}, {info.MemoryBytes >> 30} GiB, "
                + $"{info.Multiprocessors} multiprocessors, driver for CUDA {gpu.Device.Driver.Version / 1000}."
                + $"{gpu.Device.Driver.Version % 1000 / 10}, NVRTC {gpu.Compiler.Version}, "
                + $"kernels {gpu.Kernels.Target}");
        foreach (var row in new GpuKernelChecks(gpu).Run()) yield return row;
    }

    private static IEnumerable<GpuRow> Wgmma(GpuCheckPlan plan)
    {
        using var gpu = Open(plan);
        foreach (var row in new GpuKernelChecks(gpu).Wgmma()) yield return row;
    }

    private static IEnumerable<GpuRow> Exactness(GpuCheckPlan plan, TimeProvider time)
    {
        var bundled = new GpuModelChecks(plan.Bundled, plan.Options, time);
        return bundled.Exactness(CudaProducts.Exact).Concat(bundled.Int8Kv());
    }

    private static IEnumerable<GpuRow> Speed(GpuCheckPlan plan)
    {
        using var gpu = Open(plan);
        using var library = TryCublas(gpu);
        foreach (var row in new GpuSpeed(gpu, plan.Sizes, library).Run()) yield return row;
    }

    private static IEnumerable<GpuRow> Steps(GpuCheckPlan plan, TimeProvider time)
    {
        var bandwidth = 0.0;
        // Without it steps are measured and not judged.
        if (plan.Sizes.Judged)
        {
            using var gpu = Open(plan);
            bandwidth = new GpuSpeed(gpu, plan.Sizes, library: null).Copy();
        }

        foreach (var model in plan.Measured)
        {
            foreach (var row in Steps(plan, model, bandwidth, time)) yield return row;
        }

        foreach (var shape in plan.Shapes)
        {
            foreach (var row in Random(plan, shape, bandwidth, time)) yield return row;
        }
    }

    private static IEnumerable<GpuRow> Overlap(GpuCheckPlan plan, TimeProvider time)
    {
        var rows = new GpuModelChecks(plan.Bundled, plan.Options, time).Overlapped().ToArray();
        foreach (var row in rows) yield return row;
        if (rows.All(row => row.Verdict is null)) yield break;
        foreach (var row in Steps(plan with { Sizes = plan.Sizes with { Prompts = [] } }, time)) yield return row;
    }

    private static IEnumerable<GpuRow> Copies(GpuCheckPlan plan, TimeProvider time)
    {
        using var gpu = Open(plan);
        foreach (var row in new GpuCopies(gpu, plan.Sizes, time).Run()) yield return row;
        foreach (var row in new GpuHandoffs(gpu, plan.Sizes, plan.Options, time, plan.StartHolder).Run())
            yield return row;
    }

    private static IEnumerable<GpuRow> Cublaslt(GpuCheckPlan plan, TimeProvider time)
    {
        if (plan.Sizes == GpuSizes.Small) return [];
        return CudaModelRunner.LibrariesOf(plan.Options).TryLoad(CudaLibrary.Blas, out _) is null
            ? [new GpuRow("products cublaslt", null, $"not checked: no {CudaLibrary.Blas.FileNames[0]}")]
            : new GpuModelChecks(plan.Bundled, plan.Options, time).Exactness(CudaProducts.CublasLt);
    }

    private static GpuBench Open(GpuCheckPlan plan, CudaAttention? attention = null) => new(
        CudaModelRunner.LibrariesOf(plan.Options), plan.Options.Devices[0], HeadDim, plan.Options.CacheDirectory,
        attention ?? plan.Options.Attention);

    private static IEnumerable<GpuRow> Steps(
        GpuCheckPlan plan, ModelFolder model, double bandwidth, TimeProvider time) =>
        new GpuModelChecks(model, plan.Options, time).Speed(bandwidth, plan.KvMemoryBytes, plan.Sizes.Prompts);

    /// <summary>Where a process makes models of random weights; whoever ends it from outside clears that.</summary>
    public static string ScratchOf(string directory, int process) =>
        Path.Combine(directory, $"krewe-gpucheck-{process}");

    /// <summary>The rows of one shape, or why there are none: too little room on the disk or the GPU.</summary>
    private static IEnumerable<GpuRow> Random(
        GpuCheckPlan plan, RandomModel shape, double bandwidth, TimeProvider time)
    {
        var scratch = ScratchOf(plan.ScratchDirectory, Environment.ProcessId);
        try
        {
            ModelFolder? model = null;
            GpuRow? refused = null;
            try
            {
                var free = new DriveInfo(plan.ScratchDirectory).AvailableFreeSpace;
                if (free < shape.Bytes * 11 / 10)
                {
                    refused = new GpuRow(
                        shape.Name, null, $"not measured: its {shape.Bytes >> 20} MiB of random weights do not fit "
                            + $"into {plan.ScratchDirectory} ({free >> 20} MiB free); name another with --scratch");
                }
                else
                {
                    // The folder's name is the model's.
                    var folder = Path.Combine(scratch, shape.Name);
                    shape.Write(folder, plan.Bundled.Directory);
                    model = ModelFolder.Open(folder);
                }
            }
            catch (Exception error) when (error is KreweException or IOException or UnauthorizedAccessException)
            {
                refused = new GpuRow(shape.Name, null, $"not measured: {error.Message}");
            }

            if (refused is not null) yield return refused;
            if (model is null) yield break;
            using (model)
            {
                foreach (var row in Steps(plan, model, bandwidth, time)) yield return row;
            }
        }
        finally
        {
            if (Directory.Exists(scratch)) Directory.Delete(scratch, recursive: true);
        }
    }

    private static CublasLt? TryCublas(GpuBench gpu)
    {
        try
        {
            return new CublasLt(gpu.Device, gpu.Libraries, KvFormat.BF16);
        }
        catch (CudaException)
        {
            // Not there, or of no use: the rows beside it say so.
            return null;
        }
    }
}
