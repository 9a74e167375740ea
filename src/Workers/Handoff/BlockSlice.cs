using Krewe.Abstractions;
using Krewe.Control.Handoff;

namespace Krewe.Workers;

/// <summary>
/// Bytes [Start, Start + Length) of one block of an arena. A payload is a list of them, one after the other.
/// </summary>
internal readonly record struct BlockSlice(BlockId Block, int Start, int Length)
{
    /// <summary>
    /// The bytes of a piece: in each of its blocks the layers lie one after the other.
    /// </summary>
    /// <param name="blocks">The sequence's blocks by logical index, from <paramref name="offset"/> on.</param>
    public static BlockSlice[] Of(in Piece piece, ReadOnlySpan<BlockId> blocks, int offset, in KvGeometry geometry)
    {
        var slices = new BlockSlice[piece.Blocks];
        var (start, length) = (piece.FirstLayer * geometry.LayerBytes, piece.Layers * geometry.LayerBytes);
        for (var i = 0; i < slices.Length; i++)
            slices[i] = new BlockSlice(blocks[piece.FirstBlock - offset + i], start, length);
        return slices;
    }
}
