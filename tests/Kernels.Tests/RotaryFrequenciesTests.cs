namespace Krewe.Kernels.Tests;

public sealed class RotaryFrequenciesTests
{
    [Fact]
    public void Plain_frequencies_fall_from_one_towards_one_over_theta()
    {
        var frequencies = RotaryFrequencies.Plain(64, 10_000).Frequencies;
        Assert.Equal(32, frequencies.Count);
        Assert.Equal(1, frequencies[0]);
        Assert.Equal(Math.Pow(10_000, -62.0 / 64), frequencies[31], 1e-9);
    }

    [Fact]
    public void Linear_scaling_divides_all_of_them()
    {
        var (plain, linear) = (RotaryFrequencies.Plain(32, 10_000), RotaryFrequencies.Linear(32, 10_000, 4));
        Assert.All(Enumerable.Range(0, 16), i => Assert.Equal(plain.Frequencies[i] / 4, linear.Frequencies[i], 1e-9));
    }

    /// <summary>Llama 3.1 8B: factor 8, low 1, high 4, original context 8192, theta 500000, 128 dims.</summary>
    [Fact]
    public void Llama3_keeps_short_wavelengths_divides_long_ones_and_blends_between()
    {
        var plain = RotaryFrequencies.Plain(128, 500_000).Frequencies;
        var scaled = RotaryFrequencies.Llama3(128, 500_000, 8, 1, 4, 8192).Frequencies;
        for (var i = 0; i < 64; i++)
        {
            var wavelength = 2 * Math.PI / plain[i];
            if (wavelength < 8192 / 4.0)
            {
                Assert.Equal(plain[i], scaled[i]);
            }
            else if (wavelength > 8192)
            {
                Assert.Equal(plain[i] / 8, scaled[i], plain[i] * 1e-6);
            }
            else
            {
                var smooth = ((8192 / wavelength) - 1) / 3;
                Assert.Equal(((1 - smooth) * plain[i] / 8) + (smooth * plain[i]), scaled[i], plain[i] * 1e-6);
            }
        }
    }

    /// <summary>Qwen2.5 with YaRN: factor 4, original context 32768, theta 1000000, 128 dims.</summary>
    [Fact]
    public void Yarn_keeps_fast_dimensions_divides_slow_ones_and_scales_the_magnitude()
    {
        var plain = RotaryFrequencies.Plain(128, 1_000_000).Frequencies;
        var yarn = RotaryFrequencies.Yarn(128, 1_000_000, 4, 32, 1, 32_768, attentionFactor: 1.1386);
        // 128 * ln(32768 / (32 * 2 pi)) / (2 ln 1e6) = 23.59..., and 39.6... for one turn.
        Assert.All(Enumerable.Range(0, 24), i => Assert.Equal(plain[i], yarn.Frequencies[i]));
        Assert.All(Enumerable.Range(40, 24), i => Assert.Equal(plain[i] / 4, yarn.Frequencies[i], plain[i] * 1e-6));
        var ramp = (30.0 - 23) / (40 - 23);
        Assert.Equal((ramp * plain[30] / 4) + ((1 - ramp) * plain[30]), yarn.Frequencies[30], plain[30] * 1e-6);
        Assert.Equal(1.1386, yarn.Magnitude);
    }
}
