using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Kernels;

/// <summary>4 floats a vector: ARM, and x86 before AVX2.</summary>
internal readonly unsafe struct Lanes128 : ILanes<Vector128<float>>
{
    public static int Count => Vector128<float>.Count;

    public static bool HasManyRegisters => AdvSimd.IsSupported || Avx512F.VL.IsSupported;

    public static Vector128<float> Zero => Vector128<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(float* source) => Vector128.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> value, float* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Broadcast(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Add(Vector128<float> left, Vector128<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Subtract(Vector128<float> left, Vector128<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> left, Vector128<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Divide(Vector128<float> left, Vector128<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Max(Vector128<float> left, Vector128<float> right) =>
        Vector128.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(Vector128<float> value)
    {
        var pairs = Vector128.MaxNative(value, Vector128.Shuffle(value, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(pairs, Vector128.Shuffle(pairs, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> FusedMultiplyAdd(
        Vector128<float> left, Vector128<float> right, Vector128<float> addend) =>
        Vector128.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> SelectLess(
        Vector128<float> left, Vector128<float> right, Vector128<float> ifLess, Vector128<float> otherwise) =>
        Vector128.ConditionalSelect(Vector128.LessThan(left, right), ifLess, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ScaleByPowerOfTwo(Vector128<float> value, Vector128<float> exponentBits) =>
        value * ((exponentBits.AsInt32() << 23) + Vector128.Create(FloatBits.One)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadBrain(ushort* source) =>
        (Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadHalf(ushort* source)
    {
        var upper = Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe()).AsInt32() << 16;
        var exponent = upper & Vector128.Create(FloatBits.HalfExponentAbove);
        var special = Vector128.Equals(exponent, Vector128.Create(FloatBits.HalfExponentAbove));
        return (WidenFiniteHalf(upper).AsInt32() | (special & Vector128.Create(FloatBits.Infinity))).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBrain(Vector128<float> value, ushort* target)
    {
        var bits = value.AsUInt32();
        var rounded = bits + Vector128.Create(FloatBits.BrainHalfUnit) + ((bits >> 16) & Vector128<uint>.One);
        // The carry of the rounding would turn some NaNs into infinity or zero.
        var quiet = bits | Vector128.Create(FloatBits.BrainQuiet);
        var result = Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(), rounded, quiet) >> 16;
        Vector128.Narrow(result, result).GetLower().Store(target);
    }

    /// <summary>After Fabian Giesen's float_to_half_fast3_rtne (public domain): subnormals are rounded by an addition
    /// that leaves them in the low mantissa bits, normal numbers by integer arithmetic.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreHalf(Vector128<float> value, ushort* target)
    {
        var sign = value.AsInt32() & Vector128.Create(FloatBits.Sign);
        var size = value.AsInt32() ^ sign;
        var special = Vector128.ConditionalSelect(
            Vector128.GreaterThan(size, Vector128.Create(FloatBits.Infinity)), Vector128.Create(FloatBits.HalfNaN),
            Vector128.Create(FloatBits.HalfInfinity));
        var magic = Vector128.Create(FloatBits.HalfSubnormalMagic);
        var subnormal = (size.AsSingle() + magic.AsSingle()).AsInt32() - magic;
        var normal = (size + Vector128.Create(FloatBits.HalfRebias) + ((size >> 13) & Vector128<int>.One)) >> 13;
        var finite = Vector128.ConditionalSelect(
            Vector128.LessThan(size, Vector128.Create(FloatBits.HalfNormalMin)), subnormal, normal);
        var result = Vector128.ConditionalSelect(
            Vector128.LessThan(size, Vector128.Create(FloatBits.HalfOverflow)), finite, special);
        var words = result.AsUInt32() | (sign.AsUInt32() >> 16);
        Vector128.Narrow(words, words).GetLower().Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LowBrain(uint* pairs) => (Vector128.Load(pairs) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> HighBrain(uint* pairs) =>
        (Vector128.Load(pairs) & Vector128.Create(FloatBits.UpperHalf)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LowHalf(uint* pairs) =>
        WidenFiniteHalf((Vector128.Load(pairs) << 16).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> HighHalf(uint* pairs) => WidenFiniteHalf(Vector128.Load(pairs).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadSignedBytes(sbyte* source)
    {
        if (Sse41.IsSupported) return Sse2.ConvertToVector128Single(Sse41.ConvertToVector128Int32(source));
        var words = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(int*)source).AsSByte());
        return Vector128.ConvertToSingle(Vector128.WidenLower(words));
    }

    /// <summary>Finite halves in the upper 16 bits of each lane: exponent and mantissa move to their places in a float
    /// that is 2^112 too small; the product restores it exactly, for subnormals too. Lower bits are dropped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> WidenFiniteHalf(Vector128<int> upper) =>
        ((upper >> 3) & Vector128.Create(FloatBits.HalfMask)).AsSingle() * Vector128.Create(FloatBits.HalfScale);
}
