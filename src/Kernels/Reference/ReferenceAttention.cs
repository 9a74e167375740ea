using Krewe.Abstractions;

namespace Krewe.Kernels.Reference;

/// <summary>
/// Attention of one query head at one position over paged keys and values: softmax over all visible positions at once,
/// in double.
/// </summary>
public static unsafe class ReferenceAttention
{
    /// <summary>output = sum over visible positions of softmax(query x key) * value.</summary>
    /// <param name="query">[HeadDim], rotated and scaled.</param>
    /// <param name="position">The query's own; the last one it sees.</param>
    /// <param name="window">It sees this many last positions, its own included; null = all.</param>
    /// <param name="blockTable">The sequence's block ids.</param>
    /// <param name="arena">First byte of block 0.</param>
    /// <param name="output">[HeadDim].</param>
    public static void Attend(
        ReadOnlySpan<double> query, int position, int? window, ReadOnlySpan<int> blockTable, byte* arena,
        in KvGeometry geometry, int layer, int kvHead, Span<double> output)
    {
        var first = window is { } tokens ? Math.Max(0, position - tokens + 1) : 0;
        var scores = new double[position + 1 - first];
        for (var i = 0; i < scores.Length; i++)
        {
            var plane = Plane(first + i, blockTable, arena, geometry, layer, out var slot);
            for (var dim = 0; dim < query.Length; dim++)
                scores[i] += query[dim] * KvPlane.Read(plane, geometry, isValue: false, kvHead, slot, dim);
        }

        var maximum = scores.Max();
        var sum = scores.Sum(score => Math.Exp(score - maximum));
        output.Clear();
        for (var i = 0; i < scores.Length; i++)
        {
            var weight = Math.Exp(scores[i] - maximum) / sum;
            var plane = Plane(first + i, blockTable, arena, geometry, layer, out var slot) + geometry.PlaneBytes;
            for (var dim = 0; dim < output.Length; dim++)
                output[dim] += weight * KvPlane.Read(plane, geometry, isValue: true, kvHead, slot, dim);
        }
    }

    private static byte* Plane(
        int position, ReadOnlySpan<int> blockTable, byte* arena, in KvGeometry geometry, int layer, out int slot)
    {
        (var index, slot) = Math.DivRem(position, geometry.BlockTokens);
        return arena + ((long)blockTable[index] * geometry.BlockBytes) + ((long)layer * geometry.LayerBytes);
    }
}
