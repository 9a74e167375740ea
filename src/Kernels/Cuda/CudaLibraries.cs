using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>One of NVIDIA's libraries: what it is for and the file names that its versions have.</summary>
/// <param name="Name">In messages.</param>
/// <param name="Purpose">What works with it, and what to install.</param>
/// <param name="FileNames">Newest first.</param>
public sealed record CudaLibrary(string Name, string Purpose, IReadOnlyList<string> FileNames)
{
    public static CudaLibrary Driver { get; } = new(
        "libcuda", "the NVIDIA driver (470 or newer)", ["libcuda.so.1", "libcuda.so", "nvcuda.dll"]);

    public static CudaLibrary Compiler { get; } = new(
        "NVRTC", "compiles the kernels; of the CUDA toolkit 11.2 or newer, or the Python wheel nvidia-cuda-nvrtc",
        ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so", "nvrtc64_130_0.dll",
            "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]);

    public static CudaLibrary Blas { get; } = new(
        "cuBLASLt", "dense products with --cuda-products cublaslt; of the toolkit, or the wheel nvidia-cublas",
        ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "cublasLt64_13.dll", "cublasLt64_12.dll",
            "cublasLt64_11.dll"]);

    public static CudaLibrary Collectives { get; } = new(
        "NCCL", "more than one GPU for a worker; the package libnccl2, or the wheel nvidia-nccl", ["libnccl.so.2"]);

    public static CudaLibrary Files { get; } = new(
        "cuFile",
        "KV objects from disk straight into the GPU; the package libcufile0 or the wheel nvidia-cufile, and the kernel "
            + "driver nvidia-fs",
        ["libcufile.so.0"]);
}

/// <summary>
/// Finds NVIDIA's libraries: first in the directories given (where Python wheels keep them, for instance), then where
/// the system's loader looks. Nothing is linked at build.
/// </summary>
public sealed class CudaLibraries(IReadOnlyList<string> directories)
{
    /// <summary>Directories separated as in PATH; read where no option names any.</summary>
    public const string DirectoriesVariable = "KREWE_CUDA_LIBRARIES";

    // Where toolkits usually are without the loader knowing it.
    private static readonly string[] UsualDirectories =
    [
        "/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/opt/cuda/lib64", "/usr/lib/wsl/lib",
        // Where cloud providers mount the driver.
        "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib",
    ];

    /// <summary>The directories that <see cref="DirectoriesVariable"/> names.</summary>
    public static IReadOnlyList<string> FromEnvironment() =>
        Environment.GetEnvironmentVariable(DirectoriesVariable)?
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) ?? [];

    public IReadOnlyList<string> Directories { get; } = directories;

    /// <summary>Loads the library; null when no file of its names can be loaded.</summary>
    /// <param name="path">What was loaded.</param>
    public nint? TryLoad(CudaLibrary library, out string path)
    {
        ArgumentNullException.ThrowIfNull(library);
        foreach (var candidate in Candidates(library))
        {
            path = candidate;
            if (NativeLibrary.TryLoad(candidate, out var handle)) return handle;
        }

        path = "";
        return null;
    }

    /// <exception cref="CudaException">It is not there; the message says what it is for and where it was sought.
    /// </exception>
    public nint Load(CudaLibrary library) => Load(library, out _);

    /// <param name="path">What was loaded.</param>
    internal nint Load(CudaLibrary library, out string path)
    {
        if (TryLoad(library, out path) is { } handle) return handle;
        var sought = Directories.Count > 0 ? string.Join(", ", Directories) + " and the system's" : "the system's";
        throw new CudaException(
            $"{library.Name} was not found ({library.FileNames[0]}: {library.Purpose}). Sought in {sought} library "
                + $"directories; name others with --cuda-libraries or {DirectoriesVariable}.");
    }

    private IEnumerable<string> Candidates(CudaLibrary library) =>
        from directory in Directories.Append("").Concat(UsualDirectories)
        from name in library.FileNames
        where directory.Length == 0 || File.Exists(Path.Combine(directory, name))
        select directory.Length == 0 ? name : Path.GetFullPath(Path.Combine(directory, name));
}
