using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Abstractions;

/// <summary>
/// CRC-32C by folding with 512-bit carry-less multiplications (Gopal et al., "Fast CRC Computation for Generic
/// Polynomials Using PCLMULQDQ Instruction", Intel 2009): a register is replaced by itself times x^2048 and the bytes
/// 256 further on, until 256 bytes are left that have the checksum of all. Faster than memory delivers; the
/// instruction alone is not.
/// </summary>
internal static class Crc32CFold
{
    private const int RegisterBytes = 64;
    private const int StrideBytes = 4 * RegisterBytes;

    /// <summary>Below this there is nothing to fold.</summary>
    public const int BytesMin = 2 * StrideBytes;

    private static readonly Vector512<ulong> Keys = KeysOf(8 * StrideBytes);

    public static bool IsSupported => Pclmulqdq.V512.IsSupported;

    /// <summary>
    /// Advances a raw CRC over all whole strides of <paramref name="data"/>, which has <see cref="BytesMin"/> bytes or
    /// more, and leaves the rest in it.
    /// </summary>
    public static uint Take(ref ReadOnlySpan<byte> data, uint crc)
    {
        var bytes = data.Length / StrideBytes * StrideBytes;
        ref var start = ref MemoryMarshal.GetReference(data);

        // What was taken before counts as if it were added to the first four bytes.
        var a = Load(ref start, 0) ^ Vector512.CreateScalar((ulong)crc);
        var b = Load(ref start, RegisterBytes);
        var c = Load(ref start, 2 * RegisterBytes);
        var d = Load(ref start, 3 * RegisterBytes);
        for (nint at = StrideBytes; at < bytes; at += StrideBytes)
        {
            a = Fold(a) ^ Load(ref start, at);
            b = Fold(b) ^ Load(ref start, at + RegisterBytes);
            c = Fold(c) ^ Load(ref start, at + (2 * RegisterBytes));
            d = Fold(d) ^ Load(ref start, at + (3 * RegisterBytes));
        }

        data = data[bytes..];
        return Rest(d, Rest(c, Rest(b, Rest(a, crc: 0))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Load(ref byte start, nint at) =>
        Vector512.LoadUnsafe(ref Unsafe.Add(ref start, at)).AsUInt64();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Fold(Vector512<ulong> register) =>
        Pclmulqdq.V512.CarrylessMultiply(register, Keys, 0x00)
        ^ Pclmulqdq.V512.CarrylessMultiply(register, Keys, 0x11);

    private static uint Rest(Vector512<ulong> register, uint crc)
    {
        for (var i = 0; i < Vector512<ulong>.Count; i++) crc = BitOperations.Crc32C(crc, register[i]);
        return crc;
    }

    // Bits are reflected: of each 128, the lower word has the higher powers (64 more), and a product of two reflected
    // words is one power of x too high, which the keys make up for. A key is a remainder, in the upper half of its
    // word.
    private static Vector512<ulong> KeysOf(int bits) => Vector512.Create(
        Vector256.Create(Vector128.Create(Key(bits + 63), Key(bits - 1))));

    private static ulong Key(int exponent) => (ulong)Crc32CShift.PowerOfX(exponent) << 32;
}
