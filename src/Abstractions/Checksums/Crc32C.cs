using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Krewe.Abstractions;

/// <summary>
/// CRC-32C (Castagnoli). By folding where the processor has the instructions (<see cref="Crc32CFold"/>). Else its CRC
/// instruction takes 8 bytes a cycle but answers after three, so three parts of the data run side by side and are
/// joined by a carry-less multiplication with x^(8·length), kept in tables.
/// </summary>
public static class Crc32C
{
    private const int LongStride = 2048;
    private const int ShortStride = 256;

    private static readonly Crc32CShift LongShift = new(LongStride);
    private static readonly Crc32CShift ShortShift = new(ShortStride);

    /// <summary>
    /// Checksum of <paramref name="data"/>; pass the checksum so far as <paramref name="crc"/> to go on.
    /// </summary>
    public static uint Compute(ReadOnlySpan<byte> data, uint crc = 0) => Compute(data, crc, Crc32CFold.IsSupported);

    /// <summary>The same with or without folding, which must not make a difference.</summary>
    internal static uint Compute(ReadOnlySpan<byte> data, uint crc, bool fold)
    {
        crc = ~crc;
        if (fold && data.Length >= Crc32CFold.BytesMin) crc = Crc32CFold.Take(ref data, crc);
        crc = ThreeStreams(ref data, LongStride, LongShift, crc);
        crc = ThreeStreams(ref data, ShortStride, ShortShift, crc);
        var words = MemoryMarshal.Cast<byte, ulong>(data);
        foreach (var word in words) crc = BitOperations.Crc32C(crc, word);
        foreach (var value in data[(words.Length * sizeof(ulong))..]) crc = BitOperations.Crc32C(crc, value);
        return ~crc;
    }

    private static uint ThreeStreams(ref ReadOnlySpan<byte> data, int stride, Crc32CShift shift, uint crc)
    {
        while (data.Length >= 3 * stride)
        {
            ref var a = ref MemoryMarshal.GetReference(data);
            ref var b = ref Unsafe.Add(ref a, stride);
            ref var c = ref Unsafe.Add(ref b, stride);
            uint crcB = 0, crcC = 0;
            for (nint i = 0; i < stride; i += sizeof(ulong))
            {
                crc = BitOperations.Crc32C(crc, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref a, i)));
                crcB = BitOperations.Crc32C(crcB, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref b, i)));
                crcC = BitOperations.Crc32C(crcC, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref c, i)));
            }

            crc = shift.Apply(shift.Apply(crc) ^ crcB) ^ crcC;
            data = data[(3 * stride)..];
        }

        return crc;
    }
}
