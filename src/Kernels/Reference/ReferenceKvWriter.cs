using Krewe.Abstractions;

namespace Krewe.Kernels.Reference;

/// <summary>Rounds one token's keys and values to the cache's format and stores them in their slot.</summary>
public static unsafe class ReferenceKvWriter
{
    /// <summary>Writes [KvHeads * HeadDim] keys and values of one layer.</summary>
    /// <param name="block">First byte of the block.</param>
    /// <param name="slot">0 .. BlockTokens - 1.</param>
    public static void Write(byte* block, in KvGeometry geometry, int layer, int slot, float* keys, float* values)
    {
        var plane = block + ((long)layer * geometry.LayerBytes);
        for (var head = 0; head < geometry.KvHeads; head++)
        {
            for (var dim = 0; dim < geometry.HeadDim; dim++)
            {
                var i = ((long)head * geometry.HeadDim) + dim;
                KvNumber.Write(plane, (i * geometry.BlockTokens) + slot, keys[i], geometry.Format);
                var j = ((((long)head * geometry.BlockTokens) + slot) * geometry.HeadDim) + dim;
                KvNumber.Write(plane + geometry.PlaneBytes, j, values[i], geometry.Format);
            }
        }
    }
}
