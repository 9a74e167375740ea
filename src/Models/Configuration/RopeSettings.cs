namespace Krewe.Models;

/// <summary>How rotary frequencies are stretched beyond the trained context.</summary>
public enum RopeKind
{
    /// <summary>theta^(-2i/d), unchanged.</summary>
    Plain,

    /// <summary>Llama 3.1: low frequencies divided by <see cref="RopeSettings.Factor"/>, high ones kept, blended
    /// between.
    /// </summary>
    Llama3,

    /// <summary>Every frequency divided by <see cref="RopeSettings.Factor"/>.</summary>
    Linear,

    /// <summary>YaRN (arXiv 2309.00071): interpolation by wavelength, attention scaled by
    /// <see cref="RopeSettings.AttentionFactor"/>.</summary>
    Yarn,
}

/// <summary>Rotary position settings; the fields that a kind does not use keep their defaults.</summary>
public sealed record RopeSettings
{
    public required double Theta { get; init; }

    public RopeKind Kind { get; init; } = RopeKind.Plain;

    /// <summary>Stretch of the context, at least 1 (Llama3, Linear, Yarn).</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Llama3: wavelengths above OriginalMaxPositions / this are fully interpolated.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Llama3: wavelengths below OriginalMaxPositions / this are kept.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>Context length in tokens before stretching (Llama3, Yarn).</summary>
    public int OriginalMaxPositions { get; init; }

    /// <summary>Yarn: rotations over the original context at and above which a dimension is not interpolated.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Yarn: rotations over the original context at and below which a dimension is fully
    /// interpolated.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Yarn: factor on cosine and sine, so its square scales the attention scores.</summary>
    public double AttentionFactor { get; init; } = 1;
}
