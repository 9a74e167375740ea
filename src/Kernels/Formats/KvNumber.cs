using Krewe.Abstractions;

namespace Krewe.Kernels;

/// <summary>
/// One number of the KV cache, to and from its format at rest. Rounds to nearest even; overflow gives infinity and NaN
/// stays NaN, so that a fault in a model stays visible. The one place that decides the cache's bits.
/// </summary>
public static unsafe class KvNumber
{
    /// <summary>Rounds and stores element <paramref name="index"/> of an array in <paramref name="format"/>.</summary>
    public static void Write(byte* array, long index, float value, KvFormat format)
    {
        switch (format)
        {
            case KvFormat.F32:
                ((float*)array)[index] = value;
                break;
            case KvFormat.F16:
                ((Half*)array)[index] = (Half)value;
                break;
            case KvFormat.BF16:
                ((ushort*)array)[index] = ToBrain(value);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(format), format, "A KV format without a conversion.");
        }
    }

    /// <summary>Element <paramref name="index"/> of an array in <paramref name="format"/>, exactly.</summary>
    public static float Read(byte* array, long index, KvFormat format) => format switch
    {
        KvFormat.F32 => ((float*)array)[index],
        KvFormat.F16 => (float)((Half*)array)[index],
        KvFormat.BF16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)array)[index] << 16),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "A KV format without a conversion."),
    };

    /// <summary>The brain float nearest to <paramref name="value"/>, ties to even.</summary>
    public static ushort ToBrain(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        // The carry of the rounding would turn some NaNs into infinity or zero.
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x0040);
        return (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
}
