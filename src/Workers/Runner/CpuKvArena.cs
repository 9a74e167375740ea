using System.Buffers;
using Krewe.Abstractions;
using Krewe.Kernels;

namespace Krewe.Workers;

/// <summary>KV blocks in host memory, one after the other, outside the garbage collector's reach.</summary>
internal sealed unsafe class CpuKvArena : ISharedKvArena
{
    private readonly NativeArray<byte>? _own;
    private readonly BlockMemory[] _blocks;

    /// <summary>As many blocks as fit into <paramref name="memoryBytes"/>.</summary>
    /// <param name="shared">In memory that other workers of the host can map, where the system has it.</param>
    /// <exception cref="KreweException">Not one block fits.</exception>
    public CpuKvArena(KvGeometry geometry, long memoryBytes, bool shared = false)
    {
        var blocks = memoryBytes / geometry.BlockBytes;
        if (blocks is < 1 or > int.MaxValue)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"KvMemoryBytes is {memoryBytes}; a KV block of this model ({geometry}) "
                    + $"takes {geometry.BlockBytes} bytes, so give at least that, and at most {int.MaxValue} blocks.");
        }

        // The system would promise it, and end the process when it is used.
        if (MachineMemory.TotalBytes() is { } machineBytes && memoryBytes > machineBytes)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"--kv-memory is {memoryBytes >> 20} MiB, and this machine or container has "
                    + $"{machineBytes >> 20} MiB in all, weights included: lower --kv-memory.");
        }

        Geometry = geometry;
        if (shared) Shared = SharedMemory.TryCreate(blocks * geometry.BlockBytes);
        if (Shared is null) _own = new NativeArray<byte>(blocks * geometry.BlockBytes);
        _blocks = new BlockMemory[blocks];
        for (var block = 0; block < _blocks.Length; block++)
            _blocks[block] = new BlockMemory(this, block * (long)geometry.BlockBytes, geometry.BlockBytes);
    }

    public KvGeometry Geometry { get; }

    public SharedMemory? Shared { get; }

    public int BlockCount => _blocks.Length;

    /// <summary>The first byte of block 0; block b starts b * BlockBytes on.</summary>
    public byte* Data => Shared is { } shared ? shared.Data : _own!.Data;

    public bool TryGetMemory(BlockId block, out Memory<byte> bytes)
    {
        bytes = _blocks[block.Value].Memory;
        return true;
    }

    public void CopyOut(BlockId block, Span<byte> destination) => _blocks[block.Value].GetSpan().CopyTo(destination);

    public void CopyIn(BlockId block, ReadOnlySpan<byte> source)
    {
        if (source.Length != Geometry.BlockBytes)
            throw new ArgumentException($"{source.Length} bytes for a block of {Geometry.BlockBytes}.", nameof(source));
        source.CopyTo(_blocks[block.Value].GetSpan());
    }

    public void CopyOut(BlockId block, int start, Span<byte> destination) =>
        _blocks[block.Value].GetSpan().Slice(start, destination.Length).CopyTo(destination);

    public void CopyIn(BlockId block, int start, ReadOnlySpan<byte> source) =>
        source.CopyTo(_blocks[block.Value].GetSpan()[start..]);

    public void CopyRunOut(BlockId first, int count, Span<byte> destination) => Run(first, count).CopyTo(destination);

    public void CopyRunIn(BlockId first, int count, ReadOnlySpan<byte> source) => source.CopyTo(Run(first, count));

    public void Dispose()
    {
        _own?.Dispose();
        Shared?.Dispose();
    }

    private Span<byte> Run(BlockId first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first.Value + count, BlockCount, nameof(count));
        return new Span<byte>(Data + ((long)first.Value * Geometry.BlockBytes), checked(count * Geometry.BlockBytes));
    }

    /// <summary>Lends one block to code that works on <see cref="Memory{T}"/>; sockets read and write it in place.
    /// </summary>
    private sealed class BlockMemory(CpuKvArena arena, long start, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan() => new(arena.Data + start, length);

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length, nameof(elementIndex));
            return new MemoryHandle(arena.Data + start + elementIndex);
        }

        public override void Unpin()
        {
            // Native memory does not move: there is no pin to take back.
        }

        protected override void Dispose(bool disposing)
        {
            // The arena owns the bytes.
        }
    }
}
