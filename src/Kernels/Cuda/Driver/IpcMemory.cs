using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>NVIDIA's CUipcMemHandle: passed by value, of no meaning but to the driver.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IpcHandle
{
    public const int Bytes = 64;

    public fixed byte Data[Bytes];
}

/// <summary>
/// Another process's device memory, open in this one. Whoever opened it closes it; the owner's process may end before,
/// what the memory holds then is of no use.
/// </summary>
public sealed unsafe class ImportedMemory : DriverHandle
{
    private readonly VirtualRange? _range;

    internal ImportedMemory(CudaDevice device, nint address)
        : base(device, address)
    {
    }

    internal ImportedMemory(CudaDevice device, VirtualRange range)
        : base(device, range.Address) => _range = range;

    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public nint Address => Value;

    private protected override void Release(nint value)
    {
        if (_range is { } range) range.Release();
        else Api.Check(Api.IpcCloseMemHandle(value), "cuIpcCloseMemHandle");
    }
}
