using Krewe.Abstractions;

namespace Krewe.Kernels;

/// <summary>
/// One token's vectors in a plane (K or V of one layer in one block), in any format: where their numbers lie, and in
/// INT8 where their scale does. What the scalar reference reads and writes.
/// </summary>
public static unsafe class KvPlane
{
    /// <summary>Rounds and stores one head's vector.</summary>
    /// <param name="values">[HeadDim].</param>
    /// <param name="isValue">The plane is V's.</param>
    public static void Write(
        byte* plane, in KvGeometry geometry, bool isValue, int head, int slot, ReadOnlySpan<float> values)
    {
        var numbers = HeadOf(plane, geometry, head);
        if (geometry.Format == KvFormat.Int8)
        {
            var scale = ScaleOf(values);
            *Scale(numbers, geometry, slot) = scale;
            for (var dim = 0; dim < values.Length; dim++)
            {
                ((sbyte*)numbers)[Index(geometry, isValue, slot, dim)] =
                    scale > 0 ? Int8Row.Round(values[dim], scale) : (sbyte)0;
            }

            return;
        }

        for (var dim = 0; dim < values.Length; dim++)
            KvNumber.Write(numbers, Index(geometry, isValue, slot, dim), values[dim], geometry.Format);
    }

    /// <summary>One number of a head's vector.</summary>
    public static float Read(byte* plane, in KvGeometry geometry, bool isValue, int head, int slot, int dim)
    {
        var numbers = HeadOf(plane, geometry, head);
        var index = Index(geometry, isValue, slot, dim);
        return geometry.Format == KvFormat.Int8
            ? ((sbyte*)numbers)[index] * *Scale(numbers, geometry, slot)
            : KvNumber.Read(numbers, index, geometry.Format);
    }

    private static byte* HeadOf(byte* plane, in KvGeometry geometry, int head) =>
        plane + ((long)head * geometry.BlockTokens * geometry.VectorBytes);

    private static long Index(in KvGeometry geometry, bool isValue, int slot, int dim) =>
        isValue ? ((long)slot * geometry.HeadDim) + dim : ((long)dim * geometry.BlockTokens) + slot;

    private static float* Scale(byte* numbers, in KvGeometry geometry, int slot) =>
        (float*)(numbers + ((long)geometry.HeadDim * geometry.BlockTokens)) + slot;

    /// <summary>As <see cref="Int8Row"/>'s, but NaN where a value is no number: a fault in a model stays visible.
    /// </summary>
    private static float ScaleOf(ReadOnlySpan<float> values)
    {
        var largest = 0f;
        foreach (var value in values) largest = MathF.Max(largest, MathF.Abs(value));
        return float.IsFinite(largest) ? largest / Int8Row.Largest : float.NaN;
    }
}
