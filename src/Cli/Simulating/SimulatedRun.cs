using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>One simulation of several: a policy at a rate.</summary>
internal sealed class SimulatedRun(CellOptions options, Trace trace, double rateScale)
{
    public CellOptions Options { get; } = options;

    public Trace Trace { get; } = trace;

    public double RateScale { get; } = rateScale;

    public CellReport Report { get; set; } = null!;

    public double WallSeconds { get; set; }
}
