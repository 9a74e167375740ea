namespace Krewe.Kernels;

/// <summary>
/// Angular frequencies of rotary positions, in radians per position, one for each pair of a head's dimensions, and the
/// factor on cosine and sine. Each method is one way to stretch them beyond the trained context.
/// </summary>
public sealed class RotaryFrequencies
{
    private RotaryFrequencies(double[] frequencies, double magnitude = 1)
    {
        Frequencies = frequencies;
        Magnitude = magnitude;
    }

    /// <summary>[HeadDim / 2], rounded to float as checkpoints were trained with, so that no library's pow shows in
    /// them.
    /// </summary>
    public IReadOnlyList<double> Frequencies { get; }

    /// <summary>Multiplies cosine and sine (YaRN); 1 elsewhere.</summary>
    public double Magnitude { get; }

    /// <summary>theta^(-2i / headDim).</summary>
    public static RotaryFrequencies Plain(int headDim, double theta) =>
        new(Compute(headDim, theta, (_, frequency) => frequency));

    /// <summary>All frequencies divided by <paramref name="factor"/>.</summary>
    public static RotaryFrequencies Linear(int headDim, double theta, double factor) =>
        new(Compute(headDim, theta, (_, frequency) => frequency / factor));

    /// <summary>Llama 3.1: long wavelengths divided, short ones kept, blended between.</summary>
    public static RotaryFrequencies Llama3(
        int headDim, double theta, double factor, double lowFrequencyFactor, double highFrequencyFactor,
        int originalMaxPositions) =>
        new(Compute(headDim, theta, (_, frequency) =>
        {
            var turns = originalMaxPositions * frequency / (2 * Math.PI);
            var blend = Math.Clamp((turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor), 0, 1);
            return (blend * frequency) + ((1 - blend) * frequency / factor);
        }));

    /// <summary>
    /// YaRN (arXiv 2309.00071): dimensions that turn often over the original context are kept, those that turn seldom
    /// are divided, with a ramp between the dimensions of <paramref name="betaFast"/> and <paramref name="betaSlow"/>
    /// turns.
    /// </summary>
    public static RotaryFrequencies Yarn(
        int headDim, double theta, double factor, double betaFast, double betaSlow, int originalMaxPositions,
        double attentionFactor)
    {
        var low = Math.Max(Math.Floor(DimensionOf(betaFast)), 0);
        var high = Math.Min(Math.Ceiling(DimensionOf(betaSlow)), headDim - 1);
        // The published code widens an empty ramp by this much.
        if (low == high) high += 0.001;
        return new RotaryFrequencies(
            Compute(headDim, theta, (pair, frequency) =>
            {
                var interpolated = Math.Clamp((pair - low) / (high - low), 0, 1);
                return (interpolated * frequency / factor) + ((1 - interpolated) * frequency);
            }),
            attentionFactor);

        double DimensionOf(double turns) =>
            headDim * Math.Log(originalMaxPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    private static double[] Compute(int headDim, double theta, Func<int, double, double> stretch)
    {
        var frequencies = new double[headDim / 2];
        for (var i = 0; i < frequencies.Length; i++)
            frequencies[i] = (float)stretch(i, Math.Pow(theta, -2.0 * i / headDim));
        return frequencies;
    }
}
