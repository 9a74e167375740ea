using Google.Protobuf;
using Krewe.Abstractions.Wire;
using Krewe.Kernels.Cuda;
using Microsoft.Win32.SafeHandles;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers;

/// <summary>The arena as other processes of the host see it, and theirs as it sees them.</summary>
internal sealed unsafe partial class CudaKvArena
{
    /// <summary>With this arena as the only one; of several, their owner shares.</summary>
    private readonly CudaSharing _sharing;

    public SharedMemory? Shared => _sharing.Shared;

    public IReadOnlyList<DevicePart> Offered => _sharing.Offered;

    public IReadOnlyList<SafeFileHandle> Files => _sharing.Files;

    /// <summary>Makes it possible for others to open the memory; the reason when it is not.</summary>
    public string? Share() => _sharing.Share();

    public void WaitUntilStored(ReadOnlySpan<BlockSlice> slices) => WaitUntilStored(slices, Geometry);

    /// <summary>As above for slices of blocks of which this arena may have a part.</summary>
    /// <exception cref="IOException">The GPU fails.</exception>
    public void WaitUntilStored(ReadOnlySpan<BlockSlice> slices, in KvGeometry whole)
    {
        try
        {
            _written.Of(slices, whole).Synchronize("KV that another worker is to copy");
        }
        catch (CudaException error)
        {
            throw new IOException($"KV could not be stored: {error.Message}", error);
        }
    }

    public IPeerDevice? TryOpen(SharedOffer offer, ReadOnlySpan<SafeFileHandle> files, out string reason) =>
        _sharing.TryOpen(offer, files, out reason);

    /// <summary>What other processes open the memory by; with a descriptor where it has no handle.</summary>
    /// <exception cref="CudaException">The driver shares no memory.</exception>
    public (DevicePart Part, SafeFileHandle? File) Export()
    {
        var part = new DevicePart
        {
            Bytes = (ulong)_memory.Bytes,
            WholeBytes = (ulong)_memory.WholeBytes,
            Gpu = _device.Info.Uuid,
        };
        if (_memory.IsVirtual) return (part, _device.ExportFile(_memory));
        part.IpcHandle = ByteString.CopyFrom(_device.Export(_memory));
        return (part, null);
    }

    /// <summary>Opens what another process exported; this GPU may read it.</summary>
    /// <exception cref="CudaException">The driver refuses, or there is no way between the GPUs.</exception>
    public ImportedMemory Import(DevicePart part, SafeFileHandle? file)
    {
        if (_device.RefusalOf(part.Gpu) is { } refusal) throw new CudaException(refusal + ".");
        // The driver maps no more than there is; copies follow what is said to be KV.
        if (file is not null && part.Bytes > part.WholeBytes)
            throw new CudaException($"{part.Bytes} bytes of memory are offered, and {part.WholeBytes} are there.");
        return file is null
            ? _device.Import(part.IpcHandle.Span, Signed(part.Bytes))
            : _device.ImportFile(file, Signed(part.WholeBytes));

        static long Signed(ulong bytes) => (long)Math.Min(bytes, long.MaxValue);
    }

    /// <summary>
    /// Copies pieces of memory that this GPU reaches into blocks: one launch for many. They are there when the call
    /// returns, and nothing reads the sources any more, with an exception too unless the GPU is lost.
    /// </summary>
    /// <param name="pieces">From addresses, to places in the arena.</param>
    public void CopyFrom(ReadOnlySpan<CopyPiece> pieces)
    {
        lock (_gate)
        {
            try
            {
                // A block that was just given up may still be read by work under way.
                _stream.WaitFor(_queued);
                for (var first = 0; first < pieces.Length; first += PiecesMax)
                    CopySome(pieces[first..Math.Min(first + PiecesMax, pieces.Length)]);
            }
            catch
            {
                Drain();
                throw;
            }
        }
    }

    private void CopySome(ReadOnlySpan<CopyPiece> pieces)
    {
        var longest = 0L;
        foreach (var piece in pieces) longest = Math.Max(longest, piece.Bytes);
        pieces.CopyTo(new Span<CopyPiece>(_pinnedPieces.Data, PiecesMax));
        _stream.CopyToDevice(_pieces.Address, _pinnedPieces.Data, pieces.Length * (long)sizeof(CopyPiece));
        _kernels.BlockCopy(_stream, _pieces.Address, pieces.Length, longest, source: 0, _memory.Address);
        _stream.Synchronize("KV copy from another worker");
    }
}
