namespace Krewe.Cli;

/// <summary>Figures of one group's requests; times in ms. NaN = no request had one.</summary>
internal sealed record LoadFigures(
    int Requests, int Whole, int Refused, int Failed, double TtftP50, double TtftP90, double TtftP99, double TpotP50,
    double TpotP99, double LatencyP50, double LatencyP99)
{
    public static LoadFigures Of(IEnumerable<LoadOutcome> outcomes)
    {
        var all = outcomes.ToList();
        var whole = all.Where(outcome => outcome.IsWhole).ToList();
        var ttft = Sorted(whole.Select(outcome => outcome.TtftMs));
        var tpot = Sorted(whole.Select(outcome => outcome.TpotMs));
        var latency = Sorted(whole.Select(outcome => (double?)outcome.LatencyMs));
        var refused = all.Count(outcome => outcome.Status is 429 or 503);
        return new LoadFigures(
            all.Count, whole.Count, refused, all.Count - whole.Count - refused, Percentile(ttft, 50),
            Percentile(ttft, 90), Percentile(ttft, 99), Percentile(tpot, 50), Percentile(tpot, 99),
            Percentile(latency, 50), Percentile(latency, 99));
    }

    /// <summary>The nearest rank: a value that was measured.</summary>
    public static double Percentile(double[] sorted, double percent) => sorted.Length == 0
        ? double.NaN
        : sorted[Math.Clamp((int)Math.Ceiling(percent / 100 * sorted.Length) - 1, 0, sorted.Length - 1)];

    public static double[] Sorted(IEnumerable<double?> values) =>
        [.. values.Where(value => value is not null).Select(value => value!.Value).Order()];
}
