using Krewe.Control.Links;
using Krewe.Kernels.Cuda;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers;

/// <summary>
/// Another worker's KV memory, open for our ranks: each copies the heads it keeps out of those that have them, with one
/// launch.
/// </summary>
/// <param name="whole">What a block has on all ranks together, here and there.</param>
/// <param name="bytes">Of the peer's ranks.</param>
/// <param name="open">[our ranks, the peer's]: what each of ours has open; null where it shares no head.</param>
internal sealed class CudaPeerMemory(
    IReadOnlyList<CudaKvArena> ranks, KvGeometry whole, long[] bytes, ImportedMemory?[,] open) : IPeerDevice
{
    public void CopyIn(ReadOnlySpan<byte> list, ReadOnlySpan<BlockSlice> room)
    {
        var pieces = new List<CopyPiece>[ranks.Count];
        for (var rank = 0; rank < pieces.Length; rank++) pieces[rank] = [];
        for (var i = 0; i < room.Length; i++)
        {
            var (offset, length) = SliceList.Read(list, i);
            if (length != room[i].Length) throw new FrameException($"{length} bytes for a slice of {room[i].Length}.");
            if (offset < 0) throw new FrameException($"{length} bytes at {offset} are in no block.");
            Cut(offset, ((long)room[i].Block.Value * whole.BlockBytes) + room[i].Start, length, pieces);
        }

        try
        {
            if (ranks.Count == 1) ranks[0].CopyFrom(Of(pieces[0]));
            else Parallel.For(0, ranks.Count, rank => ranks[rank].CopyFrom(Of(pieces[rank])));
        }
        catch (Exception error) when (error is CudaException or AggregateException { InnerException: CudaException })
        {
            var failure = error.InnerException ?? error;
            throw new IOException($"A copy out of another worker's GPU memory failed: {failure.Message}", failure);
        }

        static ReadOnlySpan<CopyPiece> Of(List<CopyPiece> list) =>
            System.Runtime.InteropServices.CollectionsMarshal.AsSpan(list);
    }

    /// <summary>Lets all go that can be: what the driver does not take back ends with the process, and nobody could do
    /// more.</summary>
    public void Dispose()
    {
        foreach (var memory in open)
        {
            try
            {
                memory?.Dispose();
            }
            catch (CudaException e)
            {
                _ = e;
            }
        }
    }

    /// <summary>Cuts a run of whole blocks into runs that one rank has there and one has here; neighbours on both sides
    /// stay one piece.</summary>
    private void Cut(long from, long to, int length, List<CopyPiece>[] pieces)
    {
        while (length > 0)
        {
            var (part, start, there) = KvShards.PlaceOf(whole, bytes.Length, from);
            var (rank, place, here) = KvShards.PlaceOf(whole, ranks.Count, to);
            var run = Math.Min(length, Math.Min(there, here));
            if (start > bytes[part] - run)
            {
                throw new FrameException(
                    $"{run} bytes at {start} are not in the holder's {bytes[part]} bytes of KV of rank {part}.");
            }

            if ((start | place | (long)run) % 16 != 0)
                throw new FrameException($"{run} bytes at {start}: the GPU copies in steps of 16.");
            var memory = open[rank, part]
                ?? throw new FrameException($"Heads of rank {part} are to go to rank {rank}, which has others.");
            Add(pieces[rank], new CopyPiece(memory.Address + start, place, run));
            (from, to, length) = (from + run, to + run, length - run);
        }
    }

    private static void Add(List<CopyPiece> pieces, in CopyPiece piece)
    {
        if (pieces is [.., var last] && last.Source + last.Bytes == piece.Source
            && last.Target + last.Bytes == piece.Target)
        {
            pieces[^1] = last with { Bytes = last.Bytes + piece.Bytes };
            return;
        }

        pieces.Add(piece);
    }
}
