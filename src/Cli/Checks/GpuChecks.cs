using Krewe.Kernels.Cuda;

namespace Krewe.Cli;

/// <summary>What <c>krewe doctor</c> says of GPUs: each of NVIDIA's libraries by name, and each GPU.</summary>
internal static class GpuChecks
{
    private const string What = "GPU";

    /// <summary>A machine without a driver is well: the CPU computes. One with a driver should have the rest.</summary>
    /// <param name="directories">Searched first; null: those of the environment.</param>
    public static IReadOnlyList<CheckResult> All(IReadOnlyList<string>? directories)
    {
        var libraries = new CudaLibraries(directories ?? CudaLibraries.FromEnvironment());
        if (libraries.TryLoad(CudaLibrary.Driver, out _) is null)
        {
            return
            [
                new CheckResult(
                    What, CheckLevel.Ok, $"no {CudaLibrary.Driver.FileNames[0]} ({CudaLibrary.Driver.Purpose}); "
                        + "the CPU computes"),
            ];
        }

        List<CheckResult> results = [.. Devices(libraries)];
        results.Add(Compiler(libraries));
        results.Add(Optional(libraries, CudaLibrary.Blas));
        results.Add(Optional(libraries, CudaLibrary.Collectives));
        results.Add(Files(libraries));
        return results;
    }

    private static IEnumerable<CheckResult> Devices(CudaLibraries libraries)
    {
        try
        {
            var driver = CudaDriver.Load(libraries);
            return
            [
                .. driver.Devices().Select(gpu =>
                {
                    var found = $"{gpu.Ordinal}: {gpu.Name}, sm_{gpu.Architecture}, "
                        + $"{ByteSize.Format(gpu.MemoryBytes)}, driver for CUDA "
                        + $"{driver.Version / 1000}.{driver.Version % 1000 / 10}";
                    return gpu.Architecture >= CudaDriver.OldestArchitecture
                        ? new CheckResult(What, CheckLevel.Ok, found)
                        : new CheckResult(
                            What, CheckLevel.Warn, found,
                            $"The kernels need sm_{CudaDriver.OldestArchitecture} or newer; the CPU computes.");
                }),
            ];
        }
        catch (CudaException error)
        {
            return
            [
                new CheckResult(
                    What, CheckLevel.Warn, error.Message, "The CPU computes. In a container, pass the GPU in."),
            ];
        }
    }

    private static CheckResult Compiler(CudaLibraries libraries)
    {
        try
        {
            var compiler = Nvrtc.Load(libraries);
            return new CheckResult(
                CudaLibrary.Compiler.Name, CheckLevel.Ok,
                $"{compiler.Version}, up to sm_{compiler.Architectures.Max()}"
                    + (compiler.KnowsWgmma ? "" : ", without wgmma of sm_90a (H100, H200): that is of 12.0 and newer"));
        }
        catch (CudaException error)
        {
            return new CheckResult(
                CudaLibrary.Compiler.Name, CheckLevel.Warn, error.Message, "Without it --device cuda cannot start.");
        }
    }

    private static CheckResult Files(CudaLibraries libraries)
    {
        if (libraries.TryLoad(CudaLibrary.Files, out var path) is null) return Optional(libraries, CudaLibrary.Files);
        return new CheckResult(CudaLibrary.Files.Name, CheckLevel.Ok, CuFile.HasKernelDriver
            ? $"{path}, with the kernel driver nvidia-fs: KV objects go from disk straight into the GPU"
            : $"{path}, but no kernel driver nvidia-fs: KV objects go through host memory");
    }

    private static CheckResult Optional(CudaLibraries libraries, CudaLibrary library) =>
        libraries.TryLoad(library, out var path) is not null
            ? new CheckResult(library.Name, CheckLevel.Ok, path)
            : new CheckResult(library.Name, CheckLevel.Ok, $"not there; only for {library.Purpose}");
}
