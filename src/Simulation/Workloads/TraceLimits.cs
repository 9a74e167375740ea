namespace Krewe.Simulation;

/// <summary>What a trace may hold: beyond these a file is taken for damaged rather than believed.</summary>
public sealed record TraceLimits
{
    /// <summary>Tokens of one prompt or one output.</summary>
    public int TokensMax { get; init; } = 10_000_000;

    /// <summary>Requests of one trace; 50 million take 2 GB.</summary>
    public int RequestsMax { get; init; } = 50_000_000;

    /// <summary>Characters of one line.</summary>
    public int LineLengthMax { get; init; } = 4 << 20;

    /// <summary>Time span of a trace: ten years.</summary>
    public double SpanMsMax { get; init; } = 10 * 365.0 * 86_400_000;
}
