namespace Krewe.Kernels.Cuda;

/// <summary>Memory of a GPU. Its owner frees it after the last work that names it was waited for.</summary>
public sealed unsafe class DeviceMemory : DriverHandle
{
    private bool _isLeftToContext;

    internal DeviceMemory(CudaDevice device, nint address, long bytes)
        : base(device, address) => Bytes = bytes;

    internal DeviceMemory(CudaDevice device, VirtualRange range, long bytes)
        : base(device, range.Address) => (Range, Bytes) = (range, bytes);

    public long Bytes { get; }

    /// <summary>Made apart from its addresses (<see cref="CudaDevice.AllocateVirtual"/>).</summary>
    public bool IsVirtual => Range is not null;

    /// <summary>What the driver made for them: as much, or a little more.</summary>
    public long WholeBytes => Range is { } range ? (long)range.Bytes : Bytes;

    /// <summary>Null where address and memory are one (cuMemAlloc).</summary>
    internal VirtualRange? Range { get; }

    /// <exception cref="ObjectDisposedException">It was freed.</exception>
    public nint Address => Value;

    /// <summary>The address <paramref name="offset"/> bytes on, for <paramref name="bytes"/> bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not all inside.</exception>
    public nint At(long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + bytes, Bytes);
        return Address + (nint)offset;
    }

    /// <summary>
    /// From now on disposing gives it up but frees nothing: another process may have it open, and freeing it before
    /// that process has closed it is undefined (cuIpcCloseMemHandle). It ends with the context.
    /// </summary>
    internal void LeaveToContext() => _isLeftToContext = true;

    private protected override void Release(nint value)
    {
        // Counted first: whatever the driver says, nobody owns it any more.
        Device.Forget(WholeBytes);
        if (Range is { } range)
        {
            // As cuMemFree does by itself. Not for a peer's range: it goes while steps run and graphs are recorded.
            var waited = Api.ContextSynchronize();
            range.Release();
            Api.Check(waited, "cuCtxSynchronize");
        }
        else if (!_isLeftToContext) Api.Check(Api.MemFree(value), "cuMemFree", $"{Bytes} bytes");
    }
}

/// <summary>Host memory of somebody else that is pinned until this is disposed.</summary>
public sealed unsafe class RegisteredMemory : DriverHandle
{
    internal RegisteredMemory(CudaDevice device, nint address, long bytes)
        : base(device, address) => (Address, Bytes) = (address, bytes);

    public nint Address { get; }

    public long Bytes { get; }

    private protected override void Release(nint value) =>
        Api.Check(Api.MemHostUnregister((void*)value), "cuMemHostUnregister", $"{Bytes} bytes");
}

/// <summary>Page-locked host memory.</summary>
public sealed unsafe class PinnedMemory : DriverHandle
{
    internal PinnedMemory(CudaDevice device, nint address, long bytes)
        : base(device, address) => Bytes = bytes;

    public long Bytes { get; }

    public byte* Data => (byte*)Value;

    private protected override void Release(nint value) =>
        Api.Check(Api.MemFreeHost(value), "cuMemFreeHost", $"{Bytes} bytes");
}
