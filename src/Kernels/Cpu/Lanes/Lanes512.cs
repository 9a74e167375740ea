using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Kernels;

/// <summary>16 floats a vector: AVX-512.</summary>
internal readonly unsafe struct Lanes512 : ILanes<Vector512<float>>
{
    public static int Count => Vector512<float>.Count;

    public static bool HasManyRegisters => Avx512F.IsSupported;

    public static Vector512<float> Zero => Vector512<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> left, Vector512<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> left, Vector512<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> left, Vector512<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> left, Vector512<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> left, Vector512<float> right) =>
        Vector512.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(Vector512<float> value) =>
        Lanes256.MaxAcross(Vector256.MaxNative(value.GetLower(), value.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FusedMultiplyAdd(
        Vector512<float> left, Vector512<float> right, Vector512<float> addend) =>
        Vector512.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> SelectLess(
        Vector512<float> left, Vector512<float> right, Vector512<float> ifLess, Vector512<float> otherwise) =>
        Vector512.ConditionalSelect(Vector512.LessThan(left, right), ifLess, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ScaleByPowerOfTwo(Vector512<float> value, Vector512<float> exponentBits) =>
        value * ((exponentBits.AsInt32() << 23) + Vector512.Create(FloatBits.One)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadBrain(ushort* source) =>
        (Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadHalf(ushort* source)
    {
        var upper = Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()).AsInt32() << 16;
        var exponent = upper & Vector512.Create(FloatBits.HalfExponentAbove);
        var special = Vector512.Equals(exponent, Vector512.Create(FloatBits.HalfExponentAbove));
        return (WidenFiniteHalf(upper).AsInt32() | (special & Vector512.Create(FloatBits.Infinity))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBrain(Vector512<float> value, ushort* target)
    {
        var bits = value.AsUInt32();
        var rounded = bits + Vector512.Create(FloatBits.BrainHalfUnit) + ((bits >> 16) & Vector512<uint>.One);
        // The carry of the rounding would turn some NaNs into infinity or zero.
        var quiet = bits | Vector512.Create(FloatBits.BrainQuiet);
        var result = Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, quiet) >> 16;
        Vector512.Narrow(result, result).GetLower().Store(target);
    }

    /// <summary>After Fabian Giesen's float_to_half_fast3_rtne (public domain): subnormals are rounded by an addition
    /// that leaves them in the low mantissa bits, normal numbers by integer arithmetic.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreHalf(Vector512<float> value, ushort* target)
    {
        var sign = value.AsInt32() & Vector512.Create(FloatBits.Sign);
        var size = value.AsInt32() ^ sign;
        var special = Vector512.ConditionalSelect(
            Vector512.GreaterThan(size, Vector512.Create(FloatBits.Infinity)), Vector512.Create(FloatBits.HalfNaN),
            Vector512.Create(FloatBits.HalfInfinity));
        var magic = Vector512.Create(FloatBits.HalfSubnormalMagic);
        var subnormal = (size.AsSingle() + magic.AsSingle()).AsInt32() - magic;
        var normal = (size + Vector512.Create(FloatBits.HalfRebias) + ((size >> 13) & Vector512<int>.One)) >> 13;
        var finite = Vector512.ConditionalSelect(
            Vector512.LessThan(size, Vector512.Create(FloatBits.HalfNormalMin)), subnormal, normal);
        var result = Vector512.ConditionalSelect(
            Vector512.LessThan(size, Vector512.Create(FloatBits.HalfOverflow)), finite, special);
        var words = result.AsUInt32() | (sign.AsUInt32() >> 16);
        Vector512.Narrow(words, words).GetLower().Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LowBrain(uint* pairs) => (Vector512.Load(pairs) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> HighBrain(uint* pairs) =>
        (Vector512.Load(pairs) & Vector512.Create(FloatBits.UpperHalf)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LowHalf(uint* pairs) =>
        WidenFiniteHalf((Vector512.Load(pairs) << 16).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> HighHalf(uint* pairs) => WidenFiniteHalf(Vector512.Load(pairs).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadSignedBytes(sbyte* source)
    {
        if (Avx512F.IsSupported)
            return Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(Vector128.Load(source)));
        var words = Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe());
        return Vector512.ConvertToSingle(Vector512.WidenLower(words.ToVector512Unsafe()));
    }

    /// <summary>Finite halves in the upper 16 bits of each lane: exponent and mantissa move to their places in a float
    /// that is 2^112 too small; the product restores it exactly, for subnormals too. Lower bits are dropped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> WidenFiniteHalf(Vector512<int> upper) =>
        ((upper >> 3) & Vector512.Create(FloatBits.HalfMask)).AsSingle() * Vector512.Create(FloatBits.HalfScale);
}
