using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>
/// The kernel's tables of registered files and memory: a registered file costs no reference count per I/O, registered
/// memory no page walk. Both are optional; without them I/O is only slower. Used by the ring's thread alone.
/// </summary>
internal sealed unsafe class UringRegistrations
{
    private const int FilesMax = 1024;
    private const int BuffersMax = 64;
    private const int BufferBytesMax = 1 << 30;

    private readonly Stack<int> _freeFiles = new();
    private readonly List<(nint Start, long Bytes)> _buffers = [];
    private bool _buffersAllowed;

    public bool HasFiles { get; private set; }

    public bool HasMemory => _buffers.Count > 0;

    /// <summary>Reserves empty tables.</summary>
    public void Prepare(UringRing ring)
    {
        var empty = stackalloc int[FilesMax];
        new Span<int>(empty, FilesMax).Fill(-1);
        HasFiles = ring.Register(UringAbi.RegisterFiles, empty, FilesMax) >= 0;
        for (var i = FilesMax - 1; HasFiles && i >= 0; i--) _freeFiles.Push(i);

        var sparse = new ResourceRegister { Count = BuffersMax, Flags = UringAbi.ResourceSparse };
        _buffersAllowed = ring.Register(UringAbi.RegisterBuffers2, &sparse, (uint)sizeof(ResourceRegister)) >= 0;
    }

    /// <summary>Index of the file in the kernel's table; null when there is no table or it is full.</summary>
    public int? TryAddFile(UringRing ring, int descriptor)
    {
        if (!_freeFiles.TryPop(out var index)) return null;
        if (UpdateFile(ring, index, descriptor)) return index;
        _freeFiles.Push(index);
        return null;
    }

    public int? RemoveFile(UringRing ring, int index)
    {
        UpdateFile(ring, index, -1);
        _freeFiles.Push(index);
        return null;
    }

    /// <summary>
    /// Index of the memory's first part; null when the kernel has no table, no room or no locked memory left.
    /// </summary>
    public int? TryAddMemory(UringRing ring, NativeBuffer memory)
    {
        if (!_buffersAllowed) return null;
        var first = _buffers.Count;
        for (long start = 0; start < memory.LengthBytes; start += BufferBytesMax)
        {
            var bytes = Math.Min(BufferBytesMax, memory.LengthBytes - start);
            var address = memory.Address + (nint)start;
            var vector = new IoVector { Address = address, Length = (nuint)bytes };
            var update = new ResourceUpdate { Offset = (uint)_buffers.Count, Data = (ulong)&vector, Count = 1 };
            if (_buffers.Count == BuffersMax
                || ring.Register(UringAbi.RegisterBuffersUpdate, &update, (uint)sizeof(ResourceUpdate)) < 0)
                return null;
            _buffers.Add((address, bytes));
        }

        return first;
    }

    /// <summary>Index of the registered memory that holds the whole range; null when none does.</summary>
    public int? FindMemory(nint address, int length)
    {
        for (var i = 0; i < _buffers.Count; i++)
        {
            var (start, bytes) = _buffers[i];
            if (address >= start && address + length <= start + (nint)bytes) return i;
        }

        return null;
    }

    private static bool UpdateFile(UringRing ring, int index, int descriptor)
    {
        var update = new FilesUpdate { Offset = (uint)index, Descriptors = (ulong)&descriptor };
        return ring.Register(UringAbi.RegisterFilesUpdate, &update, 1) >= 0;
    }
}
