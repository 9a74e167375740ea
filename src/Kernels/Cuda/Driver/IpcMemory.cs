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
public sealed class ImportedMemory : IDisposable
{
    private readonly CudaDevice _device;
    private nint _address;

    internal ImportedMemory(CudaDevice device, nint address) => (_device, _address) = (device, address);

    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return _address;
        }
    }

    public void Dispose()
    {
        if (_address == 0) return;
        var address = _address;
        _address = 0;
        _device.CloseImport(address);
    }
}
