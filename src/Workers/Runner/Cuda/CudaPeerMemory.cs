using Krewe.Control.Links;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>Another worker's KV memory on this GPU or one beside it, opened by CUDA IPC.</summary>
internal sealed class CudaPeerMemory(CudaKvArena arena, ImportedMemory memory, long bytes) : IPeerDevice
{
    public void CopyIn(ReadOnlySpan<byte> list, ReadOnlySpan<BlockSlice> room)
    {
        var pieces = new CopyPiece[room.Length];
        for (var i = 0; i < room.Length; i++)
        {
            var (offset, length) = SliceList.Read(list, i);
            if (length != room[i].Length) throw new FrameException($"{length} bytes for a slice of {room[i].Length}.");
            if (offset < 0 || offset > bytes - length)
            {
                throw new FrameException(
                    $"{length} bytes at {offset} are not in the holder's {bytes} bytes of KV.");
            }

            var place = ((long)room[i].Block.Value * arena.Geometry.BlockBytes) + room[i].Start;
            if ((offset | place | (long)length) % 16 != 0)
                throw new FrameException($"{length} bytes at {offset}: the GPU copies in steps of 16.");
            pieces[i] = new CopyPiece(offset, place, length);
        }

        try
        {
            arena.CopyFrom(memory.Address, pieces);
        }
        catch (CudaException error)
        {
            throw new IOException($"A copy out of another worker's GPU memory failed: {error.Message}", error);
        }
    }

    public void Dispose() => memory.Dispose();
}
