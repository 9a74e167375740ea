using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>
/// KV blocks in one piece of a GPU's memory. Copies run on a stream of their own, so that they overlap with computing;
/// a copy out waits for its own layers to be stored (<see cref="LayerMarks"/>), a copy in for all that is queued. When
/// the call returns, with an exception too, nothing of it is under way any more: what it names may be used otherwise.
/// Many slices are one launch and one transfer through pinned memory, or, where the host's side is pinned itself, a
/// transfer each.
/// </summary>
internal sealed unsafe partial class CudaKvArena : ISliceCopier, IDeviceKvArena
{
    private const int StagingBytes = 4 << 20;
    private const int PiecesMax = 4096;

    private readonly Lock _gate = new();
    private readonly CudaDevice _device;
    private readonly CudaKernels _kernels;
    private readonly CudaStream _stream;
    private readonly LayerMarks _written;
    private readonly CudaEvent _queued;
    private readonly PinnedMemory _pinned;
    private readonly PinnedMemory _pinnedPieces;
    private readonly DeviceMemory _staging;
    private readonly DeviceMemory _pieces;
    private readonly DeviceMemory _memory;
    private readonly List<IDisposable> _owned = [];

    /// <param name="memory">How the memory is made.</param>
    /// <param name="rdma">Other devices of the machine are to write into it (GPUDirect Storage).</param>
    /// <exception cref="KreweException">Not one block fits into <paramref name="memoryBytes"/>.</exception>
    /// <exception cref="CudaException">The GPU has no room, or not the memory that is demanded.</exception>
    public CudaKvArena(
        CudaDevice device, CudaKernels kernels, KvGeometry geometry, long memoryBytes,
        CudaKvMemory memory = CudaKvMemory.Auto, bool rdma = false)
    {
        var blocks = memoryBytes / geometry.BlockBytes;
        if (blocks is < 1 or > int.MaxValue)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"KvMemoryBytes is {memoryBytes}; a KV block of this model ({geometry}) "
                    + $"takes {geometry.BlockBytes} bytes, so give at least that, and at most {int.MaxValue} blocks.");
        }

        (_device, _kernels, Geometry, BlockCount) = (device, kernels, geometry, (int)blocks);
        _sharing = Own(new CudaSharing([this], geometry));
        try
        {
            _memory = Own(Allocate(blocks * geometry.BlockBytes, memory, rdma));
            _staging = Own(device.Allocate(StagingBytes, "KV copies"));
            _pieces = Own(device.Allocate(PiecesMax * (long)sizeof(CopyPiece), "KV copies"));
            _pinned = Own(device.AllocatePinned(StagingBytes));
            _pinnedPieces = Own(device.AllocatePinned(PiecesMax * (long)sizeof(CopyPiece)));
            _written = Own(new LayerMarks(device, geometry.Layers));
            _queued = Own(device.CreateEvent());
            _stream = Own(device.CreateStream());
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public KvGeometry Geometry { get; }

    public int BlockCount { get; }

    /// <summary>Why the memory is plain although nobody asked for that; null: it is not, or somebody did.</summary>
    public string? PlainReason { get; private set; }

    /// <summary>First byte of block 0.</summary>
    public nint Address => _memory.Address;

    /// <summary>A step was queued to its end, none of whose layers was marked alone.</summary>
    public void MarkWritten(CudaStream compute)
    {
        _written.MarkAll(compute);
        _queued.Record(compute);
    }

    /// <summary>
    /// One layer of a step was queued, which others are told of now: their copies must not wait for the layers behind
    /// it, which the host queues long before the GPU comes to them.
    /// </summary>
    public void MarkWritten(CudaStream compute, int layer) => _written.Mark(compute, layer);

    /// <summary>
    /// A step was queued whose layers are marked already, or one ahead: what that stores is nobody's to copy out before
    /// the host has waited for it. So copies of finished blocks do not wait for it; a copy in does.
    /// </summary>
    public void MarkQueued(CudaStream compute) => _queued.Record(compute);

    public bool TryGetMemory(BlockId block, out Memory<byte> bytes)
    {
        bytes = default;
        return false;
    }

    public void CopyOut(BlockId block, Span<byte> destination) => CopyOut(block, 0, destination);

    public void CopyIn(BlockId block, ReadOnlySpan<byte> source)
    {
        if (source.Length != Geometry.BlockBytes)
            throw new ArgumentException($"{source.Length} bytes for a block of {Geometry.BlockBytes}.", nameof(source));
        CopyIn(block, 0, source);
    }

    public void CopyOut(BlockId block, int start, Span<byte> destination) =>
        CopyOut([new BlockSlice(block, start, destination.Length)], destination);

    public void CopyIn(BlockId block, int start, ReadOnlySpan<byte> source) =>
        CopyIn([new BlockSlice(block, start, source.Length)], source);

    public void CopyRunOut(BlockId first, int count, Span<byte> destination) =>
        CopyOut([new BlockSlice(first, 0, checked(count * Geometry.BlockBytes))], destination);

    public void CopyRunIn(BlockId first, int count, ReadOnlySpan<byte> source) =>
        CopyIn([new BlockSlice(first, 0, checked(count * Geometry.BlockBytes))], source);

    public void CopyOut(ReadOnlySpan<BlockSlice> slices, Span<byte> destination)
    {
        lock (_gate)
        {
            try
            {
                _stream.WaitFor(_written.Of(slices, Geometry));
                fixed (byte* target = destination)
                {
                    if (IsPinned(target, destination.Length)) CopyOutStraight(slices, target);
                    else CopyOutStaged(slices, destination);
                }
            }
            catch
            {
                Drain();
                throw;
            }
        }
    }

    public void CopyIn(ReadOnlySpan<BlockSlice> slices, ReadOnlySpan<byte> source)
    {
        lock (_gate)
        {
            try
            {
                // A block that was just given up may still be read by work under way.
                _stream.WaitFor(_queued);
                fixed (byte* first = source)
                {
                    if (IsPinned(first, source.Length)) CopyInStraight(slices, first);
                    else CopyInStaged(slices, source);
                }
            }
            catch
            {
                Drain();
                throw;
            }
        }
    }

    public void Dispose()
    {
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
    }

    private DeviceMemory Allocate(long bytes, CudaKvMemory memory, bool rdma)
    {
        const string Purpose = "KV blocks";
        var gpu = _device.Info;
        if (memory == CudaKvMemory.Virtual && !gpu.HasVirtualMemory)
        {
            throw new CudaException(
                $"GPU {gpu.Ordinal} ({gpu.Name}) has no virtual memory that other processes can open; use "
                    + "--cuda-kv-memory plain or auto.");
        }

        if (memory == CudaKvMemory.Plain) return _device.Allocate(bytes, Purpose);
        // Without the flag NVIDIA's drivers give no other device a way into virtual memory.
        if (memory == CudaKvMemory.Auto && (!gpu.HasVirtualMemory || (rdma && !gpu.HasVirtualRdma)))
        {
            PlainReason = gpu.HasVirtualMemory
                ? $"GPU {gpu.Ordinal}'s virtual memory is closed to GPUDirect Storage"
                : $"GPU {gpu.Ordinal} has no virtual memory that other processes can open";
            return _device.Allocate(bytes, Purpose);
        }

        try
        {
            return _device.AllocateVirtual(bytes, Purpose, rdma && gpu.HasVirtualRdma);
        }
        catch (CudaException refused) when (memory == CudaKvMemory.Auto && !refused.IsContextLost)
        {
            // A container may forbid what the GPU has. Where it is room that lacks, this fails too and says so.
            PlainReason = refused.Message;
            return _device.Allocate(bytes, Purpose);
        }
    }

    private void CopyOutStaged(ReadOnlySpan<BlockSlice> slices, Span<byte> destination)
    {
        var at = 0;
        var batch = new CopyBatch(slices);
        while (batch.Next(StagingBytes, PiecesMax, (CopyPiece*)_pinnedPieces.Data, Geometry.BlockBytes, true))
        {
            Move(batch, _memory.Address, _staging.Address);
            _stream.CopyToHost(_pinned.Data, _staging.Address, batch.Bytes);
            _stream.Synchronize("KV copy out");
            new ReadOnlySpan<byte>(_pinned.Data, batch.Bytes).CopyTo(destination[at..]);
            at += batch.Bytes;
        }
    }

    private void CopyInStaged(ReadOnlySpan<BlockSlice> slices, ReadOnlySpan<byte> source)
    {
        var at = 0;
        var batch = new CopyBatch(slices);
        while (batch.Next(StagingBytes, PiecesMax, (CopyPiece*)_pinnedPieces.Data, Geometry.BlockBytes, false))
        {
            source.Slice(at, batch.Bytes).CopyTo(new Span<byte>(_pinned.Data, batch.Bytes));
            _stream.CopyToDevice(_staging.Address, _pinned.Data, batch.Bytes);
            Move(batch, _staging.Address, _memory.Address);
            _stream.Synchronize("KV copy in");
            at += batch.Bytes;
        }
    }

    /// <summary>A call that ends early lets its stream run out: what is queued names memory that is the caller's again,
    /// and pieces that the next call writes anew.</summary>
    private void Drain()
    {
        try
        {
            _stream.Synchronize();
        }
        catch (CudaException)
        {
            // The context is lost, and all work with it; the call's own error is on its way.
        }
    }

    private void Move(in CopyBatch batch, nint source, nint target)
    {
        var bytes = batch.Count * (long)sizeof(CopyPiece);
        _stream.CopyToDevice(_pieces.Address, _pinnedPieces.Data, bytes);
        _kernels.BlockCopy(_stream, _pieces.Address, batch.Count, batch.Longest, source, target);
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    /// <summary>Cuts slices into pieces that one buffer holds.</summary>
    private ref struct CopyBatch(ReadOnlySpan<BlockSlice> slices)
    {
        private readonly ReadOnlySpan<BlockSlice> _slices = slices;
        private int _slice;
        private int _done;

        public int Count { get; private set; }

        public int Bytes { get; private set; }

        public long Longest { get; private set; }

        /// <summary>Fills the next buffer's pieces; false when nothing is left.</summary>
        /// <param name="outwards">From the arena to the buffer.</param>
        public bool Next(int bytesMax, int piecesMax, CopyPiece* pieces, int blockBytes, bool outwards)
        {
            (Count, Bytes, Longest) = (0, 0, 0);
            while (_slice < _slices.Length && Count < piecesMax && Bytes < bytesMax)
            {
                var slice = _slices[_slice];
                var length = Math.Min(slice.Length - _done, bytesMax - Bytes);
                var place = ((long)slice.Block.Value * blockBytes) + slice.Start + _done;
                if ((place | (long)length) % 16 != 0)
                {
                    throw new ArgumentException(
                        $"A copy of {slice.Length} bytes from byte {slice.Start} on: the GPU copies in steps of 16.");
                }

                pieces[Count++] = outwards ? new CopyPiece(place, Bytes, length) : new CopyPiece(Bytes, place, length);
                Bytes += length;
                Longest = Math.Max(Longest, length);
                _done += length;
                if (_done < slice.Length) continue;
                (_slice, _done) = (_slice + 1, 0);
            }

            return Count > 0;
        }
    }
}
