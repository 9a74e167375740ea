namespace Krewe.Simulation;

/// <summary>Pools that were run on the very trace, and met the limits (or the most that was tried).</summary>
/// <param name="Options">What was simulated.</param>
/// <param name="Report">What it came to.</param>
/// <param name="Meets">Both percentiles are below their limits and nobody was refused.</param>
public sealed record CellPlan(CellOptions Options, CellReport Report, bool Meets)
{
    public int Gpus => Options.Gpus;

    /// <summary>Dollars for a million tokens, prompts and outputs together, at this trace's rate.</summary>
    public double DollarsPerMillionTokens(double dollarsPerGpuHour, Trace trace) =>
        Dollars(dollarsPerGpuHour, trace.MeanPromptTokens + trace.MeanOutputTokens);

    /// <summary>The same for output tokens alone.</summary>
    public double DollarsPerMillionOutputTokens(double dollarsPerGpuHour, Trace trace) =>
        Dollars(dollarsPerGpuHour, trace.MeanOutputTokens);

    private double Dollars(double dollarsPerGpuHour, double tokensPerRequest)
    {
        var tokensPerHour = Report.RatePerSecond * tokensPerRequest * 3600;
        return tokensPerHour > 0 ? 1e6 * Gpus * dollarsPerGpuHour / tokensPerHour : 0;
    }
}
