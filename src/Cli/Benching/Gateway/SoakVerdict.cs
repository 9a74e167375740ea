namespace Krewe.Cli;

/// <summary>
/// Whether memory stayed flat after its first minutes, in which caches and kept records fill. A managed heap goes up
/// and down with its collections, so the question has two parts: how wide is the band, and is its end higher than its
/// beginning?
/// </summary>
/// <param name="LowMiB">Least resident memory of the samples after the first minutes.</param>
/// <param name="HighMiB">Most.</param>
/// <param name="MeanMiB">Of all of them.</param>
/// <param name="GrowthMiB">Mean of their last third less that of their first; NaN = the run was too short to tell.
/// </param>
internal sealed record SoakVerdict(double LowMiB, double HighMiB, double MeanMiB, double GrowthMiB)
{
    public const double SettleMinutes = 5;

    /// <summary>High less low, as a share of the mean.</summary>
    public const double BandMax = 0.25;

    /// <summary>Growth as a share of the mean.</summary>
    public const double GrowthMax = 0.05;

    private const int SamplesMin = 9;

    /// <summary>Null = too short to tell.</summary>
    public bool? IsFlat => double.IsNaN(GrowthMiB)
        ? null
        : HighMiB - LowMiB <= BandMax * MeanMiB && GrowthMiB <= GrowthMax * MeanMiB;

    public static SoakVerdict Of(IReadOnlyCollection<SoakSample> samples)
    {
        double[] settled =
        [
            .. samples.Where(sample => sample.Minutes >= SettleMinutes).Select(sample => sample.ResidentMiB),
        ];
        if (settled.Length < SamplesMin) return new SoakVerdict(double.NaN, double.NaN, double.NaN, double.NaN);
        var third = settled.Length / 3;
        return new SoakVerdict(
            settled.Min(), settled.Max(), settled.Average(), settled[^third..].Average() - settled[..third].Average());
    }
}
