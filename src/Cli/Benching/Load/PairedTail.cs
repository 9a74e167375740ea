using System.Globalization;
using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>
/// A percentile of the same requests, sent at the same times, without and with something beside them.
/// </summary>
/// <param name="Without">ms; a request that was not answered whole counts as infinite.</param>
/// <param name="With">ms.</param>
/// <param name="Low">95 % of the ratios of resampled pairs lie between this and <paramref name="High"/> (percentile
/// bootstrap; Efron, 1979).</param>
internal sealed record PairedTail(double Without, double With, double Ratio, double Low, double High)
{
    private const int Resamples = 2000;

    public string Text => string.Create(
        CultureInfo.InvariantCulture,
        $"{With:0.0} by {Without:0.0} ms: {Ratio:0.000} ({Low:0.000} to {High:0.000})");

    /// <param name="pairs">Of one request each, all rounds together.</param>
    /// <param name="percent">Which percentile, nearest rank.</param>
    public static PairedTail Of(IReadOnlyList<(LoadOutcome Without, LoadOutcome With)> pairs, double percent)
    {
        var times = pairs.Select(pair => (TimeOf(pair.Without), TimeOf(pair.With))).ToArray();
        var (without, with) = Tails(times, percent);
        var random = new SeededRandom(1);
        var drawn = new (double, double)[times.Length];
        var ratios = new double[Resamples];
        for (var i = 0; i < Resamples; i++)
        {
            for (var j = 0; j < drawn.Length; j++) drawn[j] = times[(int)(random.NextDouble() * times.Length)];
            var (a, b) = Tails(drawn, percent);
            ratios[i] = b / a;
        }

        Array.Sort(ratios);
        return new PairedTail(
            without, with, with / without, LoadFigures.Percentile(ratios, 2.5), LoadFigures.Percentile(ratios, 97.5));
    }

    private static double TimeOf(LoadOutcome outcome) =>
        outcome.IsWhole ? outcome.TtftMs ?? double.PositiveInfinity : double.PositiveInfinity;

    private static (double Without, double With) Tails((double Without, double With)[] times, double percent)
    {
        double[] without = [.. times.Select(pair => pair.Without).Order()];
        double[] with = [.. times.Select(pair => pair.With).Order()];
        return (LoadFigures.Percentile(without, percent), LoadFigures.Percentile(with, percent));
    }
}
