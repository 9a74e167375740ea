using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Krewe.Workers;

/// <summary>
/// Every thread multiplies and adds in registers, with the widest vectors that the processor has. Twelve independent
/// sums: more than latency times units of current processors asks for, few enough for sixteen registers.
/// </summary>
internal sealed class FusedProgram(int threads) : IStepProgram
{
    private const int Sums = 12;

    /// <summary>About 5 ms, so that on a shared machine some pass is not interrupted.</summary>
    private const int Turns = 1_000_000;

    private readonly float[] _results = new float[threads];

    /// <summary>Of one run of the program.</summary>
    public double Flops => 2.0 * Sums * Lanes * Turns * threads;

    public int PhaseCount => 1;

    private static int Lanes => Vector512.IsHardwareAccelerated ? Vector512<float>.Count
        : Vector256.IsHardwareAccelerated ? Vector256<float>.Count : Vector128<float>.Count;

    public void RunPhase(int phase, int share) => _results[share] =
        Vector512.IsHardwareAccelerated ? Spin<Fused512, Vector512<float>>()
        : Vector256.IsHardwareAccelerated ? Spin<Fused256, Vector256<float>>()
        : Spin<Fused128, Vector128<float>>();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Spin<TOps, TV>()
        where TOps : IFused<TV>
        where TV : struct
    {
        // Towards 1: the sums neither overflow nor become subnormal, which is slow.
        var (x, y) = (TOps.Broadcast(0.5f), TOps.Broadcast(0.5f));
        TV a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
        for (var turn = 0; turn < Turns; turn++)
        {
            a = TOps.MultiplyAdd(a, x, y);
            b = TOps.MultiplyAdd(b, x, y);
            c = TOps.MultiplyAdd(c, x, y);
            d = TOps.MultiplyAdd(d, x, y);
            e = TOps.MultiplyAdd(e, x, y);
            f = TOps.MultiplyAdd(f, x, y);
            g = TOps.MultiplyAdd(g, x, y);
            h = TOps.MultiplyAdd(h, x, y);
            i = TOps.MultiplyAdd(i, x, y);
            j = TOps.MultiplyAdd(j, x, y);
            k = TOps.MultiplyAdd(k, x, y);
            l = TOps.MultiplyAdd(l, x, y);
        }

        return TOps.First(a) + TOps.First(b) + TOps.First(c) + TOps.First(d) + TOps.First(e) + TOps.First(f)
            + TOps.First(g) + TOps.First(h) + TOps.First(i) + TOps.First(j) + TOps.First(k) + TOps.First(l);
    }

    /// <summary>One vector width.</summary>
    private interface IFused<TV>
    {
        static abstract TV Broadcast(float value);

        static abstract TV MultiplyAdd(TV left, TV right, TV addend);

        static abstract float First(TV value);
    }

    private readonly struct Fused512 : IFused<Vector512<float>>
    {
        public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> MultiplyAdd(
            Vector512<float> left, Vector512<float> right, Vector512<float> addend) =>
            Vector512.FusedMultiplyAdd(left, right, addend);

        public static float First(Vector512<float> value) => value.ToScalar();
    }

    private readonly struct Fused256 : IFused<Vector256<float>>
    {
        public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> MultiplyAdd(
            Vector256<float> left, Vector256<float> right, Vector256<float> addend) =>
            Vector256.FusedMultiplyAdd(left, right, addend);

        public static float First(Vector256<float> value) => value.ToScalar();
    }

    private readonly struct Fused128 : IFused<Vector128<float>>
    {
        public static Vector128<float> Broadcast(float value) => Vector128.Create(value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<float> MultiplyAdd(
            Vector128<float> left, Vector128<float> right, Vector128<float> addend) =>
            Vector128.FusedMultiplyAdd(left, right, addend);

        public static float First(Vector128<float> value) => value.ToScalar();
    }
}
