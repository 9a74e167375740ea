using Krewe.Abstractions;
using Krewe.Kernels;

namespace Krewe.Cuda.Tests;

/// <summary>BF16 and F16 numbers as their bits.</summary>
internal static class Elements
{
    public static ushort ToBits(float value, KvFormat format) => format == KvFormat.F16
        ? BitConverter.HalfToUInt16Bits((Half)value)
        : KvNumber.ToBrain(value);

    public static float ToFloat(ushort bits, KvFormat format) => format == KvFormat.F16
        ? (float)BitConverter.UInt16BitsToHalf(bits)
        : BitConverter.UInt32BitsToSingle((uint)bits << 16);

    public static ushort[] ToBits(float[] values, KvFormat format) =>
        Array.ConvertAll(values, value => ToBits(value, format));

    public static float[] ToFloats(ushort[] bits, KvFormat format) =>
        Array.ConvertAll(bits, value => ToFloat(value, format));

    /// <summary>Random numbers that the format holds exactly.</summary>
    public static float[] Random(Random random, int count, KvFormat format, float scale = 1) =>
        ToFloats(ToBits(Krewe.Kernels.Tests.RandomData.Floats(random, count, scale), format), format);

    /// <summary>Half a unit in the last place, relative to the number.</summary>
    public static double Rounding(KvFormat format) => format == KvFormat.F16 ? 1.0 / 2048 : 1.0 / 256;
}
