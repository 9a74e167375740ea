namespace Krewe.Kernels;

/// <summary>
/// Cosine and sine of a position's rotary angles. Own argument reduction and polynomials (those of fdlibm), because the
/// C library's differ between systems in the last bit, and a request must give the same bits on all of them.
/// </summary>
public sealed unsafe class RotaryAngles(RotaryFrequencies rotary)
{
    private const double TwoOverPi = 0.63661977236758134308;

    /// <summary>The first 33 bits of pi / 2: their product with a quadrant below 2^20 is exact.</summary>
    private const double HalfPiHigh = 1.57079632673412561417;

    private const double HalfPiLow = 6.07710050650619224932e-11;

    private readonly double[] _frequencies = [.. rotary.Frequencies];
    private readonly double _magnitude = rotary.Magnitude;

    /// <summary>HeadDim / 2.</summary>
    public int Pairs => _frequencies.Length;

    /// <summary>Fills cosine and sine, [<see cref="Pairs"/>] each.</summary>
    public void Fill(int position, float* cosine, float* sine)
    {
        for (var i = 0; i < _frequencies.Length; i++)
        {
            var (c, s) = CosSin(position * _frequencies[i]);
            cosine[i] = (float)(c * _magnitude);
            sine[i] = (float)(s * _magnitude);
        }
    }

    internal static (double Cosine, double Sine) CosSin(double angle)
    {
        var quadrant = Math.Round(angle * TwoOverPi);
        var r = angle - (quadrant * HalfPiHigh) - (quadrant * HalfPiLow);
        var z = r * r;
        var sine = r + (z * r * (-1.66666666666666324348e-01 + (z * (8.33333333332248946124e-03
            + (z * (-1.98412698298579493134e-04 + (z * (2.75573137070700676789e-06
            + (z * (-2.50507602534068634195e-08 + (z * 1.58969099521155010221e-10)))))))))));
        var cosine = 1 - (0.5 * z) + (z * z * (4.16666666666666019037e-02 + (z * (-1.38888888888741095749e-03
            + (z * (2.48015872894767294178e-05 + (z * (-2.75573143513906633035e-07
            + (z * (2.08757232129817482790e-09 + (z * -1.13596475577881948265e-11)))))))))));
        return ((long)quadrant & 3) switch
        {
            0 => (cosine, sine),
            1 => (-sine, cosine),
            2 => (-cosine, -sine),
            _ => (sine, -cosine),
        };
    }
}
