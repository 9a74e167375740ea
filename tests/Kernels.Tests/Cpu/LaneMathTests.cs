using System.Runtime.Intrinsics;

namespace Krewe.Kernels.Tests.Cpu;

public sealed unsafe class LaneMathTests
{
    [Fact]
    public void The_exponential_is_within_two_units_in_the_last_place()
    {
        for (var x = -87.3f; x < 88.3f; x += 0.0137f)
        {
            var expected = Math.Exp(x);
            // The spacing of floats at the result is at most 2^-23 of it.
            Assert.InRange(Exp512(x), expected * (1 - (2.0 / (1 << 23))), expected * (1 + (2.0 / (1 << 23))));
        }
    }

    [Fact]
    public void The_exponential_is_exact_at_zero_and_right_at_its_ends()
    {
        Assert.Equal(1f, Exp512(0));
        Assert.Equal(1f, Exp512(-0f));
        Assert.Equal(0f, Exp512(float.NegativeInfinity));
        Assert.Equal(0f, Exp512(-1000));
        Assert.Equal(float.PositiveInfinity, Exp512(float.PositiveInfinity));
        Assert.Equal(float.PositiveInfinity, Exp512(1000));
        Assert.True(float.IsNaN(Exp512(float.NaN)));
    }

    [Fact]
    public void All_widths_give_the_same_bits()
    {
        var random = new Random(1);
        for (var i = 0; i < 10_000; i++)
        {
            var x = (float)((random.NextDouble() * 200) - 100);
            var expected = Exp512(x);
            Assert.Equal(expected, LaneMath.Exp<Lanes256, Vector256<float>>(Vector256.Create(x))[7]);
            Assert.Equal(expected, LaneMath.Exp<Lanes128, Vector128<float>>(Vector128.Create(x))[3]);
        }
    }

    [Fact]
    public void The_largest_lane_is_found_wherever_it_is()
    {
        for (var lane = 0; lane < 16; lane++)
        {
            var values = Enumerable.Range(0, 16).Select(i => i == lane ? 5f : -i).ToArray();
            Assert.Equal(5f, Lanes512.MaxAcross(Vector512.Create(values)));
            Assert.Equal(values.Take(8).Max(), Lanes256.MaxAcross(Vector256.Create(values)));
            Assert.Equal(values.Take(4).Max(), Lanes128.MaxAcross(Vector128.Create(values)));
        }
    }

    [Fact]
    public void A_sum_of_squares_does_not_depend_on_zeros_behind_its_end()
    {
        var random = new Random(2);
        for (var count = 1; count < 70; count++)
        {
            var values = RandomData.Floats(random, count);
            var padded = values.Concat(new float[80 - count]).ToArray();
            fixed (float* exact = values)
            fixed (float* longer = padded)
            {
                var sum = LaneMath.SumOfSquares(exact, count);
                Assert.Equal(LaneMath.SumOfSquares(longer, 80), sum);
                Assert.Equal(values.Sum(value => (double)value * value), sum, tolerance: 1e-5);
            }
        }
    }

    private static float Exp512(float x) => LaneMath.Exp<Lanes512, Vector512<float>>(Vector512.Create(x))[15];
}
