using System.Numerics;

namespace Krewe.Kernels.Tests.Cpu;

public sealed class RotaryAnglesTests
{
    [Fact]
    public void Cosine_and_sine_are_right_to_far_below_a_floats_last_bit()
    {
        var random = new Random(1);
        for (var i = 0; i < 50_000; i++)
        {
            // Each lane another angle, so that every lane meets every quarter turn.
            var angles = new double[Vector<double>.Count];
            for (var lane = 0; lane < angles.Length; lane++)
                angles[lane] = random.NextDouble() * Math.Pow(10, random.Next(-6, 7));
            var (cosine, sine) = RotaryAngles.CosSin(new Vector<double>(angles));
            for (var lane = 0; lane < angles.Length; lane++)
            {
                // The reduced argument carries the angle's own rounding, 2^-53 of it.
                var tolerance = 1e-15 + (angles[lane] * 2e-16);
                Assert.Equal(Math.Cos(angles[lane]), cosine[lane], tolerance);
                Assert.Equal(Math.Sin(angles[lane]), sine[lane], tolerance);
            }
        }
    }

    [Fact]
    public void Position_zero_is_no_rotation()
    {
        var (cosine, sine) = RotaryAngles.CosSin(Vector<double>.Zero);
        Assert.Equal((1.0, 0.0), (cosine[0], sine[0]));
    }
}
