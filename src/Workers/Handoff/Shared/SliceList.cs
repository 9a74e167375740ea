using System.Buffers.Binary;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// Where a payload lies in the holder's shared memory, as a frame's payload: per slice the offset (8 bytes, little
/// endian, from the arena's first byte) and the length (4).
/// </summary>
internal static class SliceList
{
    private const int SliceBytes = sizeof(long) + sizeof(int);

    public static byte[] Write(ReadOnlySpan<BlockSlice> slices, int blockBytes)
    {
        var bytes = new byte[slices.Length * SliceBytes];
        for (var i = 0; i < slices.Length; i++)
        {
            var at = bytes.AsSpan(i * SliceBytes);
            BinaryPrimitives.WriteInt64LittleEndian(at, ((long)slices[i].Block.Value * blockBytes) + slices[i].Start);
            BinaryPrimitives.WriteInt32LittleEndian(at[sizeof(long)..], slices[i].Length);
        }

        return bytes;
    }

    /// <summary>
    /// Bytes that all slices have together. Throws <see cref="FrameException"/> on a list that is none.
    /// </summary>
    public static int TotalBytes(ReadOnlySpan<byte> list)
    {
        if (list.Length % SliceBytes != 0) throw new FrameException($"{list.Length} bytes are no list of slices.");
        var total = 0L;
        for (var at = 0; at < list.Length; at += SliceBytes)
        {
            var (_, length) = Read(list, at / SliceBytes);
            total += length;
            if (length <= 0 || total > int.MaxValue) throw new FrameException($"A slice of {length} bytes.");
        }

        return (int)total;
    }

    public static int Count(ReadOnlySpan<byte> list) => list.Length / SliceBytes;

    public static (long Offset, int Length) Read(ReadOnlySpan<byte> list, int index)
    {
        var at = list[(index * SliceBytes)..];
        return (BinaryPrimitives.ReadInt64LittleEndian(at), BinaryPrimitives.ReadInt32LittleEndian(at[sizeof(long)..]));
    }
}
