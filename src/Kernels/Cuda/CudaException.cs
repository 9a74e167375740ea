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

    /// <summary>A fault of a kernel or of the GPU's memory, after which nothing of the context is of use: uncorrectable
    /// ECC error, illegal address, a launch that timed out, assert, and the kinds of 714 to 719.</summary>
    public bool IsContextLost => Status is 214 or 700 or 702 or 710 or (>= 714 and <= 719);
}
