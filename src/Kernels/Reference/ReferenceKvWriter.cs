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
            var first = head * geometry.HeadDim;
            var key = new ReadOnlySpan<float>(keys + first, geometry.HeadDim);
            var value = new ReadOnlySpan<float>(values + first, geometry.HeadDim);
            KvPlane.Write(plane, geometry, isValue: false, head, slot, key);
            KvPlane.Write(plane + geometry.PlaneBytes, geometry, isValue: true, head, slot, value);
        }
    }
}
