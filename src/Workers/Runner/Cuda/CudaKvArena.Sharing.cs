using Krewe.Abstractions.Wire;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>The arena as other processes of the host see it, and theirs as it sees them: by CUDA IPC.</summary>
internal sealed unsafe partial class CudaKvArena
{
    private SharedMemory? _shared;

    public SharedMemory? Shared => _shared;

    public byte[]? Handle { get; private set; }

    /// <summary>Makes it possible for others to open the memory; the reason when it is not.</summary>
    public string? Share()
    {
        try
        {
            var handle = _device.Export(_memory);
            _shared = SharedMemory.TryCreate(0);
            if (_shared is null) return "this system shares no memory between processes";
            Handle = handle;
            return null;
        }
        catch (CudaException error)
        {
            return error.Message;
        }
    }

    public void WaitUntilStored(ReadOnlySpan<BlockSlice> slices)
    {
        try
        {
            _written.Of(slices, Geometry).Synchronize("KV that another worker is to copy");
        }
        catch (CudaException error)
        {
            throw new IOException($"KV could not be stored: {error.Message}", error);
        }
    }

    public IPeerDevice? TryOpen(SharedOffer offer, out string reason)
    {
        reason = "";
        try
        {
            var bytes = (long)Math.Min(offer.DeviceBytes, long.MaxValue);
            return new CudaPeerMemory(this, _device.Import(offer.Device.Span, bytes), bytes);
        }
        catch (CudaException error)
        {
            reason = error.Message;
            return null;
        }
    }

    /// <summary>
    /// Copies pieces of memory of this GPU, or of one that it reaches, into blocks: one launch for many. They are there
    /// when the call returns, and nothing reads the source any more, with an exception too unless the GPU is lost.
    /// </summary>
    public void CopyFrom(nint source, ReadOnlySpan<CopyPiece> pieces)
    {
        lock (_gate)
        {
            try
            {
                // A block that was just given up may still be read by work under way.
                _stream.WaitFor(_queued);
                for (var first = 0; first < pieces.Length; first += PiecesMax)
                    CopySome(source, pieces[first..Math.Min(first + PiecesMax, pieces.Length)]);
            }
            catch
            {
                Drain();
                throw;
            }
        }
    }

    private void CopySome(nint source, ReadOnlySpan<CopyPiece> pieces)
    {
        var longest = 0L;
        foreach (var piece in pieces) longest = Math.Max(longest, piece.Bytes);
        pieces.CopyTo(new Span<CopyPiece>(_pinnedPieces.Data, PiecesMax));
        _stream.CopyToDevice(_pieces.Address, _pinnedPieces.Data, pieces.Length * (long)sizeof(CopyPiece));
        _kernels.BlockCopy(_stream, _pieces.Address, pieces.Length, longest, source, _memory.Address);
        _stream.Synchronize("KV copy from another worker");
    }
}
