namespace Krewe.Kernels.Tests.Formats;

public sealed class Int8RowTests
{
    [Fact]
    public void A_weight_is_at_most_half_a_scale_off_and_the_largest_not_at_all()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var row = RandomData.Floats(new Random(seed), 100, scale: MathF.Pow(10, (seed % 60) - 30));
            var scale = Int8Row.ScaleOf(row);
            float[] served = [.. row];
            Int8Row.Apply(served);
            Assert.All(row.Zip(served), pair => Assert.True(
                Math.Abs((double)pair.First - pair.Second) <= scale * 0.5000001, $"{pair.First} became {pair.Second}"));
            var largest = row.MaxBy(MathF.Abs);
            Assert.Equal(largest, served[Array.IndexOf(row, largest)], Math.Abs(largest) * 2e-7);
        }
    }

    [Theory]
    [InlineData(63.5f, 64)]
    [InlineData(62.5f, 62)]
    [InlineData(-62.5f, -62)]
    [InlineData(127f, 127)]
    [InlineData(-127f, -127)]
    [InlineData(0.4f, 0)]
    public void Ties_go_to_even(float weight, int expected) => Assert.Equal(expected, Int8Row.Round(weight, 1));

    [Fact]
    public void A_row_of_zeros_stays_zeros() => Assert.Equal(0, Int8Row.Round(0, Int8Row.ScaleOf([0, 0, -0f])));

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_weight_that_is_no_number_is_refused(float weight) =>
        Assert.Throws<InvalidWeightsException>(() => Int8Row.ScaleOf([1, weight, 2]));
}
