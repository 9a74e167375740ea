using System.Numerics;
using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// Cosine and sine of a position's rotary angles. Own argument reduction and polynomials (those of fdlibm), because the
/// C library's differ between systems in the last bit, and a request must give the same bits on all of them.
/// </summary>
public sealed unsafe class RotaryAngles
{
    private const double TwoOverPi = 0.63661977236758134308;

    /// <summary>The first 33 bits of pi / 2: their product with a quadrant below 2^20 is exact.</summary>
    private const double HalfPiHigh = 1.57079632673412561417;

    private const double HalfPiLow = 6.07710050650619224932e-11;

    private readonly double[] _frequencies;
    private readonly double _magnitude;

    public RotaryAngles(RotaryFrequencies rotary)
    {
        ArgumentNullException.ThrowIfNull(rotary);
        Pairs = rotary.Frequencies.Count;
        _magnitude = rotary.Magnitude;
        // Whole vectors; the angles behind the last are 0.
        _frequencies = new double[(Pairs + Vector<double>.Count - 1) / Vector<double>.Count * Vector<double>.Count];
        for (var i = 0; i < Pairs; i++)
            _frequencies[i] = rotary.Frequencies[i];
    }

    /// <summary>HeadDim / 2.</summary>
    public int Pairs { get; }

    /// <summary>Fills cosine and sine, [<see cref="Pairs"/>] each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Fill(int position, float* cosine, float* sine)
    {
        for (var i = 0; i < _frequencies.Length; i += Vector<double>.Count)
        {
            var (c, s) = CosSin(new Vector<double>(_frequencies, i) * position);
            (c, s) = (c * _magnitude, s * _magnitude);
            for (var lane = 0; lane < Math.Min(Vector<double>.Count, Pairs - i); lane++)
            {
                cosine[i + lane] = (float)c[lane];
                sine[i + lane] = (float)s[lane];
            }
        }
    }

    internal static (Vector<double> Cosine, Vector<double> Sine) CosSin(Vector<double> angle)
    {
        var quadrant = Vector.Round(angle * TwoOverPi);
        var r = angle - (quadrant * HalfPiHigh) - (quadrant * HalfPiLow);
        var z = r * r;
        var sine = Polynomial(z, 1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
            -1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01);
        sine = r + (z * r * sine);
        var cosine = Polynomial(z, -1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
            2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02);
        cosine = Vector<double>.One - (z * 0.5) + (z * z * cosine);

        // Quarter turns: (c, s), (-s, c), (-c, -s), (s, -c).
        var turn = quadrant - (Vector.Floor(quadrant * 0.25) * 4);
        var odd = Vector.Equals(turn, Vector<double>.One) | Vector.Equals(turn, new Vector<double>(3));
        (cosine, sine) = (Vector.ConditionalSelect(odd, sine, cosine), Vector.ConditionalSelect(odd, cosine, sine));
        var upper = Vector.GreaterThanOrEqual(turn, new Vector<double>(2));
        return (
            Vector.ConditionalSelect(Vector.Xor(odd, upper), -cosine, cosine),
            Vector.ConditionalSelect(upper, -sine, sine));
    }

    /// <summary>Coefficients from the highest power down.</summary>
    private static Vector<double> Polynomial(
        Vector<double> z, double c5, double c4, double c3, double c2, double c1, double c0) =>
        (((((((((z * c5) + new Vector<double>(c4)) * z) + new Vector<double>(c3)) * z) + new Vector<double>(c2)) * z)
            + new Vector<double>(c1)) * z) + new Vector<double>(c0);
}
