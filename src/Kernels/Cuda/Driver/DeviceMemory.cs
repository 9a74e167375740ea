namespace Krewe.Kernels.Cuda;

/// <summary>Memory of a GPU. Its owner frees it after the last work that names it was waited for.</summary>
public sealed class DeviceMemory : IDisposable
{
    private readonly CudaDevice _device;
    private nint _address;

    internal DeviceMemory(CudaDevice device, nint address, long bytes) =>
        (_device, _address, Bytes) = (device, address, bytes);

    public long Bytes { get; }

    /// <exception cref="ObjectDisposedException">It was freed.</exception>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return _address;
        }
    }

    /// <summary>The address <paramref name="offset"/> bytes on, for <paramref name="bytes"/> bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not all inside.</exception>
    public nint At(long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + bytes, Bytes);
        return Address + (nint)offset;
    }

    public void Dispose()
    {
        if (_address == 0) return;
        var address = _address;
        _address = 0;
        _device.Free(address, Bytes);
    }
}

/// <summary>Host memory of somebody else that is pinned until this is disposed.</summary>
public sealed class RegisteredMemory : IDisposable
{
    private readonly CudaDevice _device;
    private bool _disposed;

    internal RegisteredMemory(CudaDevice device, nint address, long bytes) =>
        (_device, Address, Bytes) = (device, address, bytes);

    public nint Address { get; }

    public long Bytes { get; }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _device.Unregister(Address);
    }
}

/// <summary>Page-locked host memory.</summary>
public sealed unsafe class PinnedMemory : IDisposable
{
    private readonly CudaDevice _device;
    private nint _address;

    internal PinnedMemory(CudaDevice device, nint address, long bytes) =>
        (_device, _address, Bytes) = (device, address, bytes);

    public long Bytes { get; }

    public byte* Data
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return (byte*)_address;
        }
    }

    public void Dispose()
    {
        if (_address == 0) return;
        var address = _address;
        _address = 0;
        _device.MakeCurrent();
        _device.Api.Check(_device.Api.MemFreeHost(address), "cuMemFreeHost", $"{Bytes} bytes");
    }
}
