namespace Krewe.Abstractions;

/// <summary>What computes dense products on a GPU.</summary>
public enum CudaProducts
{
    /// <summary>Krewe's kernels: one order of summation for any number of rows.</summary>
    Exact,

    /// <summary>cuBLASLt, one algorithm for each matrix. Faster for prefills; its bits are the library's, a numerics
    /// fingerprint of its own.</summary>
    CublasLt,
}

/// <summary>By which instruction a GPU multiplies in prefill attention.</summary>
public enum CudaAttention
{
    /// <summary>wgmma on a Hopper GPU (H100, H200) where the start finds that its bits are those of mma.sync, which
    /// decode uses; else mma.sync.</summary>
    Auto,

    /// <summary>What every GPU from sm_80 on has.</summary>
    Mma,

    /// <summary>Hopper's warpgroup products; the worker does not start where it has none, or other bits.</summary>
    Wgmma,
}

/// <summary>Whether KV objects are read from disk straight into the GPU (GPUDirect Storage).</summary>
public enum DirectStorage
{
    /// <summary>Where NVIDIA's library and its kernel driver are.</summary>
    Auto,

    /// <summary>Always; the worker does not start where it cannot be. Without the kernel driver the library copies
    /// through host memory.</summary>
    On,

    Off,
}

/// <summary>How the KV memory of a GPU is made.</summary>
public enum CudaKvMemory
{
    /// <summary>As virtual memory where the GPU has it, else plainly.</summary>
    Auto,

    /// <summary>Apart from its addresses (cuMemCreate): other workers open it by a file descriptor, across containers.
    /// The worker does not start where the GPU has no such memory.</summary>
    Virtual,

    /// <summary>By cuMemAlloc: other workers open it by a CUDA IPC handle.</summary>
    Plain,
}

/// <summary>How a worker finds and uses NVIDIA GPUs.</summary>
public sealed record CudaOptions
{
    /// <summary>Where NVIDIA's libraries are sought first; empty = KREWE_CUDA_LIBRARIES and the system's places.
    /// </summary>
    public IReadOnlyList<string> LibraryDirectories { get; init; } = [];

    /// <summary>The driver's numbers of the GPUs that compute the model together.</summary>
    public IReadOnlyList<int> Devices { get; init; } = [0];

    public CudaProducts Products { get; init; } = CudaProducts.Exact;

    public CudaAttention Attention { get; init; } = CudaAttention.Auto;

    /// <summary>Compiled kernels are kept there; null = the user's cache directory.</summary>
    public string? CacheDirectory { get; init; }

    public DirectStorage DirectStorage { get; init; } = DirectStorage.Auto;

    public CudaKvMemory KvMemory { get; init; } = CudaKvMemory.Auto;

    /// <summary>Records the launches of decode steps as graphs.</summary>
    public bool Graphs { get; init; } = true;

    /// <summary>Lets a kernel begin while the one before it ends, on sm_90 and newer (programmatic dependent launch).
    /// Off until a GPU has shown that the bits stay the same; gpucheck tries both.</summary>
    public bool Overlap { get; init; }
}
