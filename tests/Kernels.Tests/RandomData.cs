using Krewe.Abstractions;

namespace Krewe.Kernels.Tests;

/// <summary>Seeded test data.</summary>
internal static class RandomData
{
    public static float[] Floats(Random random, int count, float scale = 1)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++)
            values[i] = (float)((random.NextDouble() * 2) - 1) * scale;
        return values;
    }

    /// <summary>Values that the format holds exactly, so that reference and kernel read the same numbers.</summary>
    public static float[] Rounded(float[] values, WeightFormat format) =>
        Array.ConvertAll(values, value => format switch
        {
            WeightFormat.F16 => (float)(Half)value,
            WeightFormat.BF16 => BitConverter.UInt32BitsToSingle((uint)KvNumber.ToBrain(value) << 16),
            _ => value,
        });

    /// <summary>The bytes of a checkpoint's tensor.</summary>
    public static byte[] Bytes(float[] values, WeightFormat format) => [.. values.SelectMany(value => format switch
    {
        WeightFormat.F16 => BitConverter.GetBytes((Half)value),
        WeightFormat.BF16 => BitConverter.GetBytes(KvNumber.ToBrain(value)),
        _ => BitConverter.GetBytes(value),
    })];

    public static double[] Doubles(ReadOnlySpan<float> values)
    {
        var result = new double[values.Length];
        for (var i = 0; i < result.Length; i++)
            result[i] = values[i];
        return result;
    }

    /// <summary>Fills memory with NaN in the cache's format: any read of it that reaches a result shows.</summary>
    public static void Poison(Span<byte> bytes, KvFormat format)
    {
        var pattern = format switch
        {
            KvFormat.F32 => BitConverter.GetBytes(float.NaN),
            KvFormat.F16 => BitConverter.GetBytes(Half.NaN),
            // Codes are always numbers, scales are not.
            KvFormat.Int8 => BitConverter.GetBytes(float.NaN),
            _ => BitConverter.GetBytes((ushort)0x7fc0),
        };
        for (var i = 0; i < bytes.Length; i++)
            bytes[i] = pattern[i % pattern.Length];
    }
}
