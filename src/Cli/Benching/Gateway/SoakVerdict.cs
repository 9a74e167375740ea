namespace Krewe.Cli;

/// <summary>
/// Whether memory stayed flat after its first minutes, in which caches and kept records fill. A managed heap grows
/// until a full collection takes it back to what lives, some minutes later: a leak is what lifts these floors.
/// </summary>
/// <param name="LowMiB">Least resident memory of the samples after the first minutes.</param>
/// <param name="HighMiB">Most.</param>
/// <param name="MeanMiB">Of all of them.</param>
/// <param name="GrowthMiB">Least of their second half less that of their first.</param>
internal sealed record SoakVerdict(double LowMiB, double HighMiB, double MeanMiB, double GrowthMiB)
{
    public const double SettleMinutes = 12;

    /// <summary>High less low, as a share of the mean: collections take place.</summary>
    public const double BandMax = 0.35;

    /// <summary>Growth as a share of the mean.</summary>
    public const double GrowthMax = 0.05;

    /// <summary>A half has at least one full collection.</summary>
    private const int SamplesMin = 14;

    public bool IsFlat => HighMiB - LowMiB <= BandMax * MeanMiB && GrowthMiB <= GrowthMax * MeanMiB;

    /// <summary>Null = the run was too short to tell.</summary>
    public static SoakVerdict? Of(IReadOnlyCollection<SoakSample> samples)
    {
        double[] settled =
        [
            .. samples.Where(sample => sample.Minutes >= SettleMinutes).Select(sample => sample.ResidentMiB),
        ];
        if (settled.Length < SamplesMin) return null;
        var half = settled.Length / 2;
        return new SoakVerdict(
            settled.Min(), settled.Max(), settled.Average(), settled[half..].Min() - settled[..half].Min());
    }
}
