namespace Krewe.Kernels.Cuda;

/// <summary>A call of one of NVIDIA's libraries that failed, or a library or device that is not there.</summary>
public sealed class CudaException : Exception
{
    public CudaException(string message)
        : base(message)
    {
    }

    /// <param name="call">The function, for instance "cuMemAlloc".</param>
    /// <param name="status">What it returned.</param>
    /// <param name="statusName">The status in words.</param>
    /// <param name="what">The kernel and its shapes, or the sizes of the call.</param>
    public CudaException(string call, int status, string statusName, string what)
        : base($"{call} failed with {statusName} ({status}){(what.Length > 0 ? $": {what}" : "")}.") =>
        (Call, Status) = (call, status);

    /// <summary>Null when something is missing rather than broken.</summary>
    public string? Call { get; }

    public int Status { get; }

    /// <summary>More memory was wanted than the whole GPU has: no wait brings it.</summary>
    public bool IsTooLarge { get; init; }

    /// <summary>
    /// The same call may do later, in a new process: memory or a GPU that another process has for now (2 and 46, and
    /// cuBLAS's 3), a fabric that is not set up yet after the machine's start (802), a context that was lost, or an
    /// exchange with other GPUs that NCCL gave up (1, 2, 6). Not what is missing, too old or asked for in a wrong way.
    /// </summary>
    public bool IsPassing => !IsTooLarge && Call switch
    {
        null => false,
        ['n', 'c', 'c', 'l', ..] => Status is 1 or 2 or 6,
        ['c', 'u', 'b', 'l', 'a', 's', ..] => Status is 3,
        ['c', 'u', >= 'A' and <= 'Z', ..] => Status is 2 or 46 or 802 || IsContextLost,
        _ => false,
    };

    /// <summary>A fault of a kernel or of the GPU's memory, after which nothing of the context is of use: uncorrectable
    /// ECC error, illegal address, a launch that timed out, assert, and the kinds of 714 to 719.</summary>
    public bool IsContextLost => Status is 214 or 700 or 702 or 710 or (>= 714 and <= 719);
}
