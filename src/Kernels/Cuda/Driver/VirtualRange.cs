using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// Addresses of this process with a GPU's memory behind them, made here or by another process, which one GPU may use.
/// Peer access is of this range alone: no other allocation is mapped for the peer, as cuCtxEnablePeerAccess would do.
/// </summary>
internal sealed unsafe class VirtualRange
{
    private readonly CudaDevice _device;

    private VirtualRange(CudaDevice device, ulong handle, nint address, nuint bytes) =>
        (_device, Handle, Address, Bytes) = (device, handle, address, bytes);

    /// <summary>The driver's name of the memory, in this process alone.</summary>
    public ulong Handle { get; }

    public nint Address { get; }

    public nuint Bytes { get; }

    /// <summary>Maps memory for the device. Takes the handle over, with an exception too.</summary>
    public static VirtualRange Map(CudaDevice device, ulong handle, nuint bytes)
    {
        var api = device.Api;
        var what = $"{bytes} bytes";
        nint address = 0;
        var isMapped = false;
        try
        {
            api.Check(api.MemAddressReserve(&address, bytes, 0, 0, 0), "cuMemAddressReserve", what);
            api.Check(api.MemMap(address, bytes, 0, handle, 0), "cuMemMap", what);
            isMapped = true;
            // Reading alone would do for a peer's; that is not promised for every pair of GPUs.
            var access = AccessDescription.ReadWrite(device.Info.Ordinal);
            api.Check(
                api.MemSetAccess(address, bytes, &access, 1), "cuMemSetAccess",
                $"{what} for GPU {device.Info.Ordinal}");
            return new VirtualRange(device, handle, address, bytes);
        }
        catch
        {
            // The call's own error is on its way.
            if (isMapped) _ = api.MemUnmap(address, bytes);
            if (address != 0) _ = api.MemAddressFree(address, bytes);
            _ = api.MemRelease(handle);
            throw;
        }
    }

    /// <summary>Gives everything back, whatever fails, and then says what did. Work that names the addresses must have
    /// run: unlike cuMemFree this waits for none.</summary>
    public void Release()
    {
        _device.MakeCurrent();
        var api = _device.Api;
        var unmapped = api.MemUnmap(Address, Bytes);
        var freed = api.MemAddressFree(Address, Bytes);
        var released = api.MemRelease(Handle);
        api.Check(unmapped, "cuMemUnmap", $"{Bytes} bytes");
        api.Check(freed, "cuMemAddressFree", $"{Bytes} bytes");
        api.Check(released, "cuMemRelease", $"{Bytes} bytes");
    }
}

/// <summary>CUmemAllocationProp: memory of one GPU that can be exported as a file descriptor.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AllocationProperties
{
    /// <summary>CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR.</summary>
    public const int FileDescriptor = 1;

    /// <summary>CU_MEM_ALLOC_GRANULARITY_RECOMMENDED.</summary>
    public const int RecommendedGranularity = 1;

    /// <summary>CU_MEM_ALLOCATION_TYPE_PINNED.</summary>
    private const int Pinned = 1;

    public int Type;
    public int HandleTypes;
    public MemoryLocation Location;
    public nint WindowsMetadata;
    public byte Compression;
    public byte IsRdmaCapable;
    public ushort Usage;
    public uint Reserved;

    public static AllocationProperties Of(int ordinal, bool rdma) => new()
    {
        Type = Pinned,
        HandleTypes = FileDescriptor,
        Location = MemoryLocation.Device(ordinal),
        IsRdmaCapable = rdma ? (byte)1 : (byte)0,
    };
}

/// <summary>CUmemAccessDesc: who may do what with a range.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AccessDescription
{
    /// <summary>CU_MEM_ACCESS_FLAGS_PROT_READWRITE.</summary>
    private const int ReadAndWrite = 3;

    public MemoryLocation Location;
    public int Flags;

    public static AccessDescription ReadWrite(int ordinal) =>
        new() { Location = MemoryLocation.Device(ordinal), Flags = ReadAndWrite };
}

/// <summary>CUmemLocation.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MemoryLocation
{
    public int Type;
    public int Id;

    /// <summary>CU_MEM_LOCATION_TYPE_DEVICE, by the driver's number.</summary>
    public static MemoryLocation Device(int ordinal) => new() { Type = 1, Id = ordinal };
}

/// <summary>CUuuid.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct DeviceUuid
{
    private const int Bytes = 16;

    public fixed byte Data[Bytes];

    public override readonly string ToString()
    {
        fixed (byte* data = Data) return Convert.ToHexStringLower(new ReadOnlySpan<byte>(data, Bytes));
    }
}
