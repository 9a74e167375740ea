using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Kernels;

/// <summary>8 floats a vector: AVX2 with FMA.</summary>
internal readonly unsafe struct Lanes256 : ILanes<Vector256<float>>
{
    public static int Count => Vector256<float>.Count;

    public static bool HasManyRegisters => Avx512F.VL.IsSupported;

    public static Vector256<float> Zero => Vector256<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> value, float* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> left, Vector256<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> left, Vector256<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> left, Vector256<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> left, Vector256<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> left, Vector256<float> right) =>
        Vector256.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(Vector256<float> value) =>
        Lanes128.MaxAcross(Vector128.MaxNative(value.GetLower(), value.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FusedMultiplyAdd(
        Vector256<float> left, Vector256<float> right, Vector256<float> addend) =>
        Vector256.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> SelectLess(
        Vector256<float> left, Vector256<float> right, Vector256<float> ifLess, Vector256<float> otherwise) =>
        Vector256.ConditionalSelect(Vector256.LessThan(left, right), ifLess, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ScaleByPowerOfTwo(Vector256<float> value, Vector256<float> exponentBits) =>
        value * ((exponentBits.AsInt32() << 23) + Vector256.Create(FloatBits.One)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadBrain(ushort* source) =>
        (Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadHalf(ushort* source)
    {
        var upper = Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()).AsInt32() << 16;
        var exponent = upper & Vector256.Create(FloatBits.HalfExponentAbove);
        var special = Vector256.Equals(exponent, Vector256.Create(FloatBits.HalfExponentAbove));
        return (WidenFiniteHalf(upper).AsInt32() | (special & Vector256.Create(FloatBits.Infinity))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBrain(Vector256<float> value, ushort* target)
    {
        var bits = value.AsUInt32();
        var rounded = bits + Vector256.Create(FloatBits.BrainHalfUnit) + ((bits >> 16) & Vector256<uint>.One);
        // The carry of the rounding would turn some NaNs into infinity or zero.
        var quiet = bits | Vector256.Create(FloatBits.BrainQuiet);
        var result = Vector256.ConditionalSelect(Vector256.Equals(value, value).AsUInt32(), rounded, quiet) >> 16;
        Vector256.Narrow(result, result).GetLower().Store(target);
    }

    /// <summary>After Fabian Giesen's float_to_half_fast3_rtne (public domain): subnormals are rounded by an addition
    /// that leaves them in the low mantissa bits, normal numbers by integer arithmetic.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreHalf(Vector256<float> value, ushort* target)
    {
        var sign = value.AsInt32() & Vector256.Create(FloatBits.Sign);
        var size = value.AsInt32() ^ sign;
        var special = Vector256.ConditionalSelect(
            Vector256.GreaterThan(size, Vector256.Create(FloatBits.Infinity)), Vector256.Create(FloatBits.HalfNaN),
            Vector256.Create(FloatBits.HalfInfinity));
        var magic = Vector256.Create(FloatBits.HalfSubnormalMagic);
        var subnormal = (size.AsSingle() + magic.AsSingle()).AsInt32() - magic;
        var normal = (size + Vector256.Create(FloatBits.HalfRebias) + ((size >> 13) & Vector256<int>.One)) >> 13;
        var finite = Vector256.ConditionalSelect(
            Vector256.LessThan(size, Vector256.Create(FloatBits.HalfNormalMin)), subnormal, normal);
        var result = Vector256.ConditionalSelect(
            Vector256.LessThan(size, Vector256.Create(FloatBits.HalfOverflow)), finite, special);
        var words = result.AsUInt32() | (sign.AsUInt32() >> 16);
        Vector256.Narrow(words, words).GetLower().Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LowBrain(uint* pairs) => (Vector256.Load(pairs) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HighBrain(uint* pairs) =>
        (Vector256.Load(pairs) & Vector256.Create(FloatBits.UpperHalf)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LowHalf(uint* pairs) =>
        WidenFiniteHalf((Vector256.Load(pairs) << 16).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HighHalf(uint* pairs) => WidenFiniteHalf(Vector256.Load(pairs).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadSignedBytes(sbyte* source)
    {
        if (Avx2.IsSupported) return Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32(source));
        var words = Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe());
        return Vector256.ConvertToSingle(Vector256.WidenLower(words.ToVector256Unsafe()));
    }

    /// <summary>Finite halves in the upper 16 bits of each lane: exponent and mantissa move to their places in a float
    /// that is 2^112 too small; the product restores it exactly, for subnormals too. Lower bits are dropped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> WidenFiniteHalf(Vector256<int> upper) =>
        ((upper >> 3) & Vector256.Create(FloatBits.HalfMask)).AsSingle() * Vector256.Create(FloatBits.HalfScale);
}
