namespace Krewe.Kernels.Tests.Sampling;

public sealed class PhiloxTests
{
    /// <summary>The known answers of Random123's distribution (kat_vectors, philox4x32 10).</summary>
    [Fact]
    public void The_published_vectors_come_out()
    {
        Assert.Equal(
            (0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u), Philox.Generate((0, 0, 0, 0), (0, 0)));
        const uint ones = uint.MaxValue;
        Assert.Equal(
            (0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu),
            Philox.Generate((ones, ones, ones, ones), (ones, ones)));
        Assert.Equal(
            (0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u),
            Philox.Generate((0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344), (0xa4093822, 0x299f31d0)));
    }

    [Fact]
    public void Seed_choice_and_position_each_change_the_draw()
    {
        var draws = new[]
        {
            Philox.Uniform(1, 0, 0), Philox.Uniform(2, 0, 0), Philox.Uniform(1L << 32, 0, 0), Philox.Uniform(-1, 0, 0),
            Philox.Uniform(1, 1, 0), Philox.Uniform(1, 0, 1),
        };
        Assert.Equal(draws.Length, draws.Distinct().Count());
        Assert.All(draws, draw => Assert.InRange(draw, 0, 1 - (1.0 / (1L << 53))));
    }

    [Fact]
    public void Draws_spread_evenly()
    {
        var bins = new int[10];
        for (var position = 0; position < 100_000; position++)
            bins[(int)(Philox.Uniform(42, 0, position) * 10)]++;
        // Standard deviation of a bin: sqrt(100000 * 0.1 * 0.9) = 95.
        Assert.All(bins, bin => Assert.InRange(bin, 10_000 - 500, 10_000 + 500));
    }
}
