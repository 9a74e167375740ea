using Microsoft.Win32.SafeHandles;

namespace Krewe.Kernels.Cuda;

/// <summary>Memory that other processes of the host open, and theirs as this one does.</summary>
public sealed unsafe partial class CudaDevice
{
    /// <summary>
    /// Memory apart from its addresses, which other processes open by a file descriptor (<see cref="ExportFile"/>).
    /// Takes a little more than asked for: what the driver gives at once.
    /// </summary>
    /// <param name="rdma">Other devices of the machine are to write into it (GPUDirect).</param>
    /// <exception cref="CudaException">The GPU has no room, or not this kind of memory.</exception>
    public DeviceMemory AllocateVirtual(long bytes, string purpose, bool rdma = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        MakeCurrent();
        var properties = AllocationProperties.Of(Info.Ordinal, rdma);
        nuint unit;
        Api.Check(
            Api.MemGetGranularity(&unit, &properties, AllocationProperties.RecommendedGranularity),
            "cuMemGetAllocationGranularity");
        var whole = ((nuint)bytes + unit - 1) / unit * unit;
        ulong handle;
        DemandRoom(Api.MemCreate(&handle, whole, &properties, 0), "cuMemCreate", (long)whole, purpose);
        var range = VirtualRange.Map(this, handle, whole);
        Remember((long)whole);
        return new DeviceMemory(this, range, bytes);
    }

    /// <summary>
    /// What other processes open memory of <see cref="AllocateVirtual"/> by, once the descriptor was passed to them.
    /// The memory is there until all have closed it, also when its owner has freed it or ended.
    /// </summary>
    /// <exception cref="CudaException">This driver or system shares no memory.</exception>
    public SafeFileHandle ExportFile(DeviceMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        var range = memory.Range ?? throw new ArgumentException("Memory that has no descriptor.", nameof(memory));
        MakeCurrent();
        int file;
        Api.Check(
            Api.MemExport(&file, range.Handle, AllocationProperties.FileDescriptor, 0),
            "cuMemExportToShareableHandle", $"{memory.Bytes} bytes");
        return new SafeFileHandle(file, ownsHandle: true);
    }

    /// <summary>Opens another process's memory, of this GPU or of one that it can reach, by its descriptor, which stays
    /// the caller's.</summary>
    /// <param name="bytes">All that its owner made; the driver refuses to map more than is there.</param>
    /// <exception cref="CudaException">The driver refuses: no way between the GPUs, or it is no such descriptor.
    /// </exception>
    public ImportedMemory ImportFile(SafeFileHandle file, long bytes)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (bytes <= 0) throw new CudaException($"{bytes} bytes of memory are offered.");
        MakeCurrent();
        ulong handle;
        Api.Check(
            Api.MemImport(&handle, file.DangerousGetHandle(), AllocationProperties.FileDescriptor),
            "cuMemImportFromShareableHandle");
        return new ImportedMemory(this, VirtualRange.Map(this, handle, (nuint)bytes));
    }

    /// <summary>Why this GPU cannot read that one's memory, as far as this process can tell; null: it can, or that is a
    /// GPU which this process does not see, and the driver has the word.</summary>
    public string? RefusalOf(string uuid)
    {
        if (uuid == Info.Uuid) return null;
        var other = Driver.Devices().FirstOrDefault(device => device.Uuid == uuid);
        return other is null || Driver.CanReach(Info.Ordinal, other.Ordinal)
            ? null
            : $"GPU {Info.Ordinal} has no peer access to GPU {other.Ordinal}";
    }

    /// <summary>What other processes of this host open the memory by, 64 bytes. From then on it is freed with the
    /// context: nobody knows when the last of them has closed it.</summary>
    /// <exception cref="CudaException">This driver or system shares no memory.</exception>
    public byte[] Export(DeviceMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        MakeCurrent();
        IpcHandle handle;
        Api.Check(Api.IpcGetMemHandle(&handle, memory.Address), "cuIpcGetMemHandle", $"{memory.Bytes} bytes");
        memory.LeaveToContext();
        return new ReadOnlySpan<byte>(handle.Data, IpcHandle.Bytes).ToArray();
    }

    /// <summary>Opens another process's memory, of this GPU or of one that it can reach.</summary>
    /// <param name="bytes">What its owner says that it has; checked, because copies follow it.</param>
    /// <exception cref="CudaException">The driver refuses: another host, the same process, no way between the
    /// GPUs.</exception>
    public ImportedMemory Import(ReadOnlySpan<byte> handle, long bytes)
    {
        if (handle.Length != IpcHandle.Bytes)
            throw new CudaException($"A memory handle has {IpcHandle.Bytes} bytes, not {handle.Length}.");
        // Peer access is enabled where the memory is another GPU's.
        const uint LazyEnablePeerAccess = 1;
        MakeCurrent();
        var copy = default(IpcHandle);
        handle.CopyTo(new Span<byte>(copy.Data, IpcHandle.Bytes));
        nint address;
        Api.Check(Api.IpcOpenMemHandle(&address, copy, LazyEnablePeerAccess), "cuIpcOpenMemHandle");
        var memory = new ImportedMemory(this, address);
        try
        {
            nint start;
            nuint size;
            Api.Check(Api.MemGetAddressRange(&start, &size, address), "cuMemGetAddressRange");
            var there = start + (nint)size - address;
            return bytes <= there
                ? memory
                : throw new CudaException($"{bytes} bytes of memory are offered, and {there} are there.");
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }
}
