namespace Krewe.Kernels.Tests.Cpu;

public sealed class RotaryAnglesTests
{
    [Fact]
    public void Cosine_and_sine_are_right_to_far_below_a_floats_last_bit()
    {
        var random = new Random(1);
        for (var i = 0; i < 100_000; i++)
        {
            var angle = random.NextDouble() * Math.Pow(10, random.Next(-6, 7));
            var (cosine, sine) = RotaryAngles.CosSin(angle);
            // The reduced argument carries the angle's own rounding, 2^-53 of it.
            var tolerance = 1e-15 + (angle * 2e-16);
            Assert.Equal(Math.Cos(angle), cosine, tolerance);
            Assert.Equal(Math.Sin(angle), sine, tolerance);
        }
    }

    [Fact]
    public void Position_zero_is_no_rotation() => Assert.Equal((1.0, 0.0), RotaryAngles.CosSin(0));
}
