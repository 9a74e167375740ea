namespace Krewe.Kernels.Cuda;

/// <summary>
/// One GPU's primary context. Any thread may use it; it becomes the thread's current one when it has to. Counts what it
/// lent: <see cref="Dispose"/> refuses while device memory is out, because whoever holds it would read freed memory.
/// </summary>
public sealed unsafe partial class CudaDevice : IDisposable
{
    /// <summary>The device, not its context's address: a context that ended and one that came after it may share
    /// that.</summary>
    [ThreadStatic]
    private static CudaDevice? _current;

    private readonly nint _context;
    private long _memoryBytes;
    private int _allocations;
    private bool _disposed;

    internal CudaDevice(CudaDriver driver, GpuInfo info)
    {
        (Driver, Info) = (driver, info);
        nint context;
        Api.Check(Api.ContextRetain(&context, info.Ordinal), "cuDevicePrimaryCtxRetain", $"GPU {info.Ordinal}");
        _context = context;
    }

    public CudaDriver Driver { get; }

    public GpuInfo Info { get; }

    /// <summary>Device memory that is out.</summary>
    public long MemoryBytes => Interlocked.Read(ref _memoryBytes);

    /// <summary>Pieces of device memory that are out.</summary>
    public int Allocations => Volatile.Read(ref _allocations);

    internal DriverApi Api => Driver.Api;

    /// <summary>Device memory that the driver has left.</summary>
    public long FreeBytes()
    {
        nuint free, total;
        MakeCurrent();
        Api.Check(Api.MemGetInfo(&free, &total), "cuMemGetInfo");
        return (long)free;
    }

    /// <exception cref="CudaException">The GPU has no room; the message has the sizes.</exception>
    public DeviceMemory Allocate(long bytes, string purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        MakeCurrent();
        nint address;
        DemandRoom(Api.MemAlloc(&address, (nuint)bytes), "cuMemAlloc", bytes, purpose);
        Remember(bytes);
        return new DeviceMemory(this, address, bytes);
    }

    /// <summary>Host memory that the GPU copies from and to without a detour.</summary>
    public PinnedMemory AllocatePinned(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        MakeCurrent();
        nint address;
        // Portable: valid in every context of the process.
        const uint Portable = 1;
        Api.Check(Api.MemHostAlloc(&address, (nuint)bytes, Portable), "cuMemHostAlloc", $"{bytes} bytes");
        return new PinnedMemory(this, address, bytes);
    }

    /// <summary>
    /// Pins host memory that is there already, page-aligned, so that the GPU copies from and to it without a detour. It
    /// must be unpinned, by disposing the result, before it is freed.
    /// </summary>
    /// <exception cref="CudaException">The system lets no more memory be pinned.</exception>
    public RegisteredMemory Register(nint address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        MakeCurrent();
        // Portable: for every context of the process.
        const uint Portable = 1;
        Api.Check(
            Api.MemHostRegister((void*)address, (nuint)bytes, Portable), "cuMemHostRegister", $"{bytes} bytes");
        return new RegisteredMemory(this, address, bytes);
    }

    public CudaStream CreateStream()
    {
        MakeCurrent();
        nint stream;
        // Work of the default stream of another library must not hold ours up.
        const uint NonBlocking = 1;
        Api.Check(Api.StreamCreate(&stream, NonBlocking), "cuStreamCreate");
        return new CudaStream(this, stream);
    }

    /// <param name="timed">For <see cref="CudaEvent.MillisecondsSince"/>; costs more.</param>
    public CudaEvent CreateEvent(bool timed = false)
    {
        MakeCurrent();
        nint created;
        // 2: no time. A host that waits yields its core (1: blocking).
        Api.Check(Api.EventCreate(&created, timed ? 0u : 3u), "cuEventCreate");
        return new CudaEvent(this, created);
    }

    public void Dispose()
    {
        if (_disposed) return;
        if (Allocations != 0)
            throw new InvalidOperationException($"{Allocations} pieces of GPU {Info.Ordinal}'s memory are still out.");
        _disposed = true;
        if (_current == this) _current = null;
        try
        {
            Api.Check(Api.ContextRelease(Info.Ordinal), "cuDevicePrimaryCtxRelease");
        }
        catch (CudaException lost) when (lost.IsContextLost)
        {
            // The call that lost it has told.
        }
    }

    internal void MakeCurrent()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_current == this) return;
        Api.Check(Api.ContextSetCurrent(_context), "cuCtxSetCurrent");
        _current = this;
    }

    private void DemandRoom(int status, string call, long bytes, string purpose)
    {
        if (status == 0) return;
        throw Api.Failure(
            status, call, $"{bytes} bytes for {purpose}; {FreeBytes()} are free",
            isTooLarge: MemoryBytes + bytes > Info.MemoryBytes);
    }

    private void Remember(long bytes)
    {
        Interlocked.Add(ref _memoryBytes, bytes);
        Interlocked.Increment(ref _allocations);
    }

    /// <summary>Device memory came back, or is left to the context.</summary>
    internal void Forget(long bytes)
    {
        Interlocked.Add(ref _memoryBytes, -bytes);
        Interlocked.Decrement(ref _allocations);
    }
}
