using Krewe.Simulation.DistServe;

namespace Krewe.Simulation;

/// <summary>
/// The highest Poisson rate at which an instance still meets its limits (DistServe, section 4): bisection over trials
/// in the DistServe simulator. A trial passes when the percentile of TTFT and that of TPOT are below their limits.
/// </summary>
internal sealed class GoodputSearch(PlanOptions options)
{
    private const double LeastRate = 1e-3;
    private const double MostRate = 1e4;

    /// <summary>Requests a second that <paramref name="pools"/> serve; 0 when they never meet the limits.</summary>
    public double HighestRate(StagePools pools)
    {
        // Doubling first: capacity differs by orders between a GPU and a node, and failing trials are the slow ones.
        if (!Passes(pools, LeastRate)) return 0;
        var (low, high) = (LeastRate, 0.25);
        while (high < MostRate && Passes(pools, high)) (low, high) = (high, 2 * high);
        while (high - low > options.RateTolerance * high)
        {
            var middle = (low + high) / 2;
            if (Passes(pools, middle)) low = middle;
            else high = middle;
        }

        return low;
    }

    private bool Passes(StagePools pools, double rate)
    {
        var trial = Workload(rate, decodes: pools.Decode is not null);
        IReadOnlyList<RequestTiming> timings;
        try
        {
            timings = DistServeSimulator.Run(pools, trial);
        }
        catch (SimulationException)
        {
            // A request longer than the instance holds.
            return false;
        }

        var (ttft, tpot) = (1000 * options.Slo.TtftSeconds, 1000 * options.Slo.TpotSeconds);
        return (pools.Prefill is null || Percentile(timings.Select(t => t.FirstTokenMs)) <= ttft)
            && (pools.Decode is null || Percentile(timings.Select(t => t.TpotMs)) <= tpot);
    }

    private SimulatedRequest[] Workload(double rate, bool decodes)
    {
        var trace = Arrivals.Draw(options.Workload, rate, 1, options.TrialRequests, options.Seed);
        return [.. trace.Requests.Select(r =>
            new SimulatedRequest(r.ArrivalNs / 1e9, r.PromptTokens, decodes ? r.OutputTokens : 0))];
    }

    private double Percentile(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return Percentiles.At(sorted, options.Attainment);
    }
}
