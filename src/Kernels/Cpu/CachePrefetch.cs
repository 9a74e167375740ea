using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// Asks for the keys of a piece's first tile; later keys, and the values, are asked for while it computes.
/// </summary>
internal static unsafe class CachePrefetch
{
    private const int Group = AttentionScratch.GroupTokens;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Keys(in AttentionWork work, VisibleRange slots, int tile)
    {
        // From one dim to the next is a row of the block's slots; 16 of 2 bytes are half a line.
        var row = work.Geometry.BlockTokens * work.Geometry.ElementBytes;
        var step = Math.Max(row, Cache.LineBytes);
        for (var slot = slots.Low / Group * Group; slot < slots.High; slot += Group)
        {
            work.Locate(tile + slot, out var keys, out _);
            for (var offset = 0; offset < row * work.Geometry.HeadDim; offset += step)
                Cache.Prefetch(keys, offset);
        }
    }
}
