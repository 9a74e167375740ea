using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Krewe.Kernels;

/// <summary>Functions whose bits are the same on every vector width.</summary>
internal static unsafe class LaneMath
{
    /// <summary>Sums over elements are kept in this many partial sums on every width: element i goes to sum i mod 16.
    /// </summary>
    public const int SumLanes = 16;

    private const float Log2E = 1.44269504f;

    /// <summary>1.5 * 2^23: adding it rounds to an integer and leaves that integer in the low mantissa bits.</summary>
    private const float RoundingShift = 12582912f;

    /// <summary>ln 2 in two parts; the first has trailing zeros, so that n times it is exact.</summary>
    private const float Ln2High = 0.693359375f;

    private const float Ln2Low = -2.12194440e-4f;

    /// <summary>Below, e^x is under the smallest normal float.</summary>
    private const float ExpInputMin = -87.33654f;

    /// <summary>Above, 2^n would need n = 128.</summary>
    private const float ExpInputMax = 88.37626f;

    /// <summary>
    /// e^x in each lane, at most 2 units in the last place off (polynomial of Cephes' expf); exp(0) is exactly 1, 0
    /// below -87.33654, infinity above 88.37626, NaN for NaN.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Exp<TOps, TV>(TV x)
        where TOps : ILanes<TV>
        where TV : struct
    {
        var shifted = TOps.FusedMultiplyAdd(x, TOps.Broadcast(Log2E), TOps.Broadcast(RoundingShift));
        var n = TOps.Subtract(shifted, TOps.Broadcast(RoundingShift));
        var r = TOps.FusedMultiplyAdd(n, TOps.Broadcast(-Ln2High), x);
        r = TOps.FusedMultiplyAdd(n, TOps.Broadcast(-Ln2Low), r);
        var p = TOps.Broadcast(1.9875691500e-4f);
        p = TOps.FusedMultiplyAdd(p, r, TOps.Broadcast(1.3981999507e-3f));
        p = TOps.FusedMultiplyAdd(p, r, TOps.Broadcast(8.3334519073e-3f));
        p = TOps.FusedMultiplyAdd(p, r, TOps.Broadcast(4.1665795894e-2f));
        p = TOps.FusedMultiplyAdd(p, r, TOps.Broadcast(1.6666665459e-1f));
        p = TOps.FusedMultiplyAdd(p, r, TOps.Broadcast(5.0000001201e-1f));
        p = TOps.FusedMultiplyAdd(p, TOps.Multiply(r, r), r);
        p = TOps.ScaleByPowerOfTwo(TOps.Add(p, TOps.Broadcast(1f)), shifted);
        p = TOps.SelectLess(x, TOps.Broadcast(ExpInputMin), TOps.Zero, p);
        return TOps.SelectLess(TOps.Broadcast(ExpInputMax), x, TOps.Broadcast(float.PositiveInfinity), p);
    }

    /// <summary>The sum of 16 partial sums, by halves: (i, i + 8), then (i, i + 4), (i, i + 2), (i, i + 1).</summary>
    public static float SumTree(float* partial)
    {
        var quarters = Vector128.Load(partial) + Vector128.Load(partial + 8)
            + (Vector128.Load(partial + 4) + Vector128.Load(partial + 12));
        return quarters[0] + quarters[2] + (quarters[1] + quarters[3]);
    }

    /// <summary>Sum of the squares of <paramref name="count"/> floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float SumOfSquares(float* source, int count)
    {
        var s0 = Vector128<float>.Zero;
        var (s1, s2, s3) = (s0, s0, s0);
        var whole = count - (count % SumLanes);
        for (var i = 0; i < whole; i += SumLanes)
        {
            var (x0, x1) = (Vector128.Load(source + i), Vector128.Load(source + i + 4));
            var (x2, x3) = (Vector128.Load(source + i + 8), Vector128.Load(source + i + 12));
            s0 = Vector128.FusedMultiplyAdd(x0, x0, s0);
            s1 = Vector128.FusedMultiplyAdd(x1, x1, s1);
            s2 = Vector128.FusedMultiplyAdd(x2, x2, s2);
            s3 = Vector128.FusedMultiplyAdd(x3, x3, s3);
        }

        var partial = stackalloc float[SumLanes];
        s0.Store(partial);
        s1.Store(partial + 4);
        s2.Store(partial + 8);
        s3.Store(partial + 12);
        for (var i = whole; i < count; i++)
            partial[i - whole] = MathF.FusedMultiplyAdd(source[i], source[i], partial[i - whole]);
        return SumTree(partial);
    }
}
