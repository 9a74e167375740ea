using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// NVIDIA's GPUDirect Storage: files read into a GPU's memory without the host's. Without the kernel driver nvidia-fs
/// the library copies through host memory of its own, which gains nothing; <see cref="HasKernelDriver"/> tells.
/// </summary>
public sealed unsafe class CuFile : IDisposable
{
    private const string KernelDriver = "/proc/driver/nvidia-fs/version";

    /// <summary>CU_FILE_HANDLE_TYPE_OPAQUE_FD.</summary>
    private const int FileDescriptor = 1;

    private readonly delegate* unmanaged<Status> _closeDriver;
    private readonly delegate* unmanaged<nint*, Description*, Status> _registerFile;
    private readonly delegate* unmanaged<nint, void> _deregisterFile;
    private readonly delegate* unmanaged<nint, nuint, int, Status> _registerMemory;
    private readonly delegate* unmanaged<nint, Status> _deregisterMemory;
    private readonly delegate* unmanaged<nint, nint, nuint, long, long, nint> _read;
    private bool _isClosed;

    private CuFile(nint library)
    {
        var table = new FunctionTable(library, CudaLibrary.Files);
        var openDriver = (delegate* unmanaged<Status>)table["cuFileDriverOpen"];
        _closeDriver = (delegate* unmanaged<Status>)table["cuFileDriverClose_v2", "cuFileDriverClose"];
        _registerFile = (delegate* unmanaged<nint*, Description*, Status>)table["cuFileHandleRegister"];
        _deregisterFile = (delegate* unmanaged<nint, void>)table["cuFileHandleDeregister"];
        _registerMemory = (delegate* unmanaged<nint, nuint, int, Status>)table["cuFileBufRegister"];
        _deregisterMemory = (delegate* unmanaged<nint, Status>)table["cuFileBufDeregister"];
        _read = (delegate* unmanaged<nint, nint, nuint, long, long, nint>)table["cuFileRead"];
        table.Demand();
        Check(openDriver(), "cuFileDriverOpen", "");
    }

    /// <summary>Whether bytes would go past the host.</summary>
    public static bool HasKernelDriver => File.Exists(KernelDriver);

    /// <summary>Loads the library and opens it.</summary>
    /// <exception cref="CudaException">It is missing, or does not work here.</exception>
    public static CuFile Load(CudaLibraries libraries)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        return new CuFile(libraries.Load(CudaLibrary.Files));
    }

    /// <summary>Makes the file known. It must stay open until <see cref="Forget(nint)"/>.</summary>
    public nint Register(SafeFileHandle file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var description = new Description { Type = FileDescriptor, Handle = file.DangerousGetHandle() };
        nint handle;
        Check(_registerFile(&handle, &description), "cuFileHandleRegister", "");
        return handle;
    }

    public void Forget(nint file) => _deregisterFile(file);

    /// <summary>Makes device memory known, which reads are then written to without a buffer between.</summary>
    public void RegisterMemory(CudaDevice device, nint address, long bytes)
    {
        ArgumentNullException.ThrowIfNull(device);
        device.MakeCurrent();
        Check(_registerMemory(address, (nuint)bytes, 0), "cuFileBufRegister", $"{bytes} bytes");
    }

    public void ForgetMemory(CudaDevice device, nint address)
    {
        ArgumentNullException.ThrowIfNull(device);
        device.MakeCurrent();
        Check(_deregisterMemory(address), "cuFileBufDeregister", "");
    }

    /// <summary>Reads into registered memory; the bytes are there on return.</summary>
    /// <param name="memory">Its first byte, as registered.</param>
    /// <param name="start">Where the bytes go, from there.</param>
    /// <exception cref="CudaException">The read failed or came short.</exception>
    public void Read(CudaDevice device, nint file, nint memory, long start, long bytes, long offset)
    {
        ArgumentNullException.ThrowIfNull(device);
        device.MakeCurrent();
        var moved = (long)_read(file, memory, (nuint)bytes, offset, start);
        if (moved == bytes) return;
        var what = $"{bytes} bytes at {offset}";
        // -1: a system call failed. Below: minus a status of the library.
        if (moved < -1) throw new CudaException("cuFileRead", (int)-moved, "a cuFile status", what);
        throw new CudaException(moved < 0 ? $"cuFileRead failed: {what}." : $"cuFileRead: {moved} of {what}.");
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isClosed, true)) return;
        _ = _closeDriver();
    }

    /// <summary>Status 5000 and up are cuFile's own; the second number is the driver's.</summary>
    private static void Check(Status status, string call, string what)
    {
        if (status.Error != 0)
            throw new CudaException(call, status.Error, $"a cuFile status, CUDA's {status.Driver}", what);
    }

    /// <summary>CUfileError_t, returned by value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Status
    {
        public int Error;
        public int Driver;
    }

    /// <summary>CUfileDescr_t: a kind, a union of descriptor and pointer, operations of a user-space file
    /// system.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Description
    {
        public int Type;
        public nint Handle;
        public nint Operations;
    }
}
