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

    /// <summary>Figures of another program (Python, doubles) from the published formulas, for known models.</summary>
    [Theory]
    [InlineData("plain", 1, 8.659643234e-01)]
    [InlineData("plain", 17, 8.659643234e-02)]
    [InlineData("plain", 63, 1.154781985e-04)]
    [InlineData("linear", 1, 2.063510463e-01)]
    [InlineData("linear", 47, 3.028819147e-05)]
    [InlineData("llama 3.1", 5, 3.587302238e-01)]
    [InlineData("llama 3.1", 28, 3.211445995e-03)]
    [InlineData("llama 3.1", 30, 1.371893568e-03)]
    [InlineData("llama 3.1", 33, 3.126937504e-04)]
    [InlineData("llama 3.1", 35, 9.556212354e-05)]
    [InlineData("llama 3.1", 60, 5.677088101e-07)]
    [InlineData("llama 3.2", 14, 3.211445995e-03)]
    [InlineData("llama 3.2", 15, 1.290547928e-03)]
    [InlineData("llama 3.2", 16, 4.295567966e-04)]
    [InlineData("llama 3.2", 31, 9.418306725e-08)]
    [InlineData("qwen 2.5 yarn", 10, 1.154781985e-01)]
    [InlineData("qwen 2.5 yarn", 24, 5.375321491e-03)]
    [InlineData("qwen 2.5 yarn", 30, 1.064360981e-03)]
    [InlineData("qwen 2.5 yarn", 39, 6.490394321e-05)]
    [InlineData("llama yarn", 21, 4.694086000e-02)]
    [InlineData("llama yarn", 30, 8.526843773e-03)]
    [InlineData("llama yarn", 40, 8.817889629e-04)]
    [InlineData("llama yarn", 60, 1.111424631e-05)]
    public void A_known_models_frequency_is_the_published_formulas(string model, int pair, double expected)
    {
        var rotary = model switch
        {
            "plain" => RotaryFrequencies.Plain(128, 10_000),
            "linear" => RotaryFrequencies.Linear(96, 10_000, 4),
            "llama 3.1" => RotaryFrequencies.Llama3(128, 500_000, 8, 1, 4, 8192),
            "llama 3.2" => RotaryFrequencies.Llama3(64, 500_000, 32, 1, 4, 8192),
            "qwen 2.5 yarn" => RotaryFrequencies.Yarn(128, 1_000_000, 4, 32, 1, 32_768, attentionFactor: 1),
            _ => RotaryFrequencies.Yarn(128, 10_000, 16, 32, 1, 4096, attentionFactor: 1),
        };
        // Half a unit in a float's last place.
        Assert.Equal(expected, rotary.Frequencies[pair], expected * 6e-8);
    }

    /// <summary>Figures of the same program: the angle of a position far out, from the frequency as a float.</summary>
    [Theory]
    [InlineData("plain", 1, 3, 0.796457871, 0.604694022)]
    [InlineData("plain", 1000, 7, 0.732120276, 0.681175382)]
    [InlineData("plain", 131071, 2, 0.055609538, 0.998452592)]
    [InlineData("plain", 131071, 40, 0.978582146, -0.205856707)]
    [InlineData("llama 3.1", 1, 3, 0.857409830, 0.514634223)]
    [InlineData("llama 3.1", 131071, 2, 0.737622426, 0.675213416)]
    [InlineData("llama 3.1", 131071, 40, -0.217391191, -0.976084561)]
    public unsafe void A_positions_angle_is_the_published_formulas(
        string model, int position, int pair, double expectedCosine, double expectedSine)
    {
        var angles = new RotaryAngles(model == "plain"
            ? RotaryFrequencies.Plain(128, 10_000)
            : RotaryFrequencies.Llama3(128, 500_000, 8, 1, 4, 8192));
        float* cosine = stackalloc float[64], sine = stackalloc float[64];
        angles.Fill(position, cosine, sine);
        Assert.Equal(expectedCosine, cosine[pair], 1e-7);
        Assert.Equal(expectedSine, sine[pair], 1e-7);
    }
}
