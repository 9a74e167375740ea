namespace Krewe.Simulation;

/// <summary>
/// "What do I need for this trace?": the smallest pools whose percentiles meet the limits when the production code runs
/// the trace itself, bursts and shared prefixes and all. The placement search says where to begin.
/// </summary>
public static class CellPlanner
{
    private const int TrialsMax = 60;
    private const int WorkersMax = 4096;

    /// <summary>
    /// Pools apart: the one whose limit is missed grows; then each shrinks while the limits hold. <paramref
    /// name="said"/> is told of every trial.
    /// </summary>
    public static CellPlan Apart(
        CellOptions template, Trace trace, double percentile, int prefill, int decode, Action<CellPlan> said,
        CancellationToken cancellation)
    {
        var best = Try(template, trace, percentile, prefill, decode, said, cancellation);
        for (var trial = 0; !best.Meets && trial < TrialsMax && best.Options.Workers < WorkersMax; trial++)
        {
            var slow = Misses(best, percentile);
            if (slow.Ttft || !slow.Tpot) prefill = Grown(prefill);
            if (slow.Tpot || IsFull(best)) decode = Grown(decode);
            best = Try(template, trace, percentile, prefill, decode, said, cancellation);
        }

        return best.Meets ? Shrink(best, template, trace, percentile, said, cancellation) : best;
    }

    /// <summary>One pool: doubles until the limits are met, then bisects.</summary>
    public static CellPlan Together(
        CellOptions template, Trace trace, double percentile, int workers, Action<CellPlan> said,
        CancellationToken cancellation)
    {
        var low = 0;
        var high = Math.Max(1, workers);
        CellPlan best;
        while (!(best = Try(template, trace, percentile, 0, high, said, cancellation)).Meets)
        {
            if (high >= WorkersMax) return best;
            (low, high) = (high, 2 * high);
        }

        while (high - low > 1)
        {
            var middle = (low + high) / 2;
            var plan = Try(template, trace, percentile, 0, middle, said, cancellation);
            if (plan.Meets) (best, high) = (plan, middle);
            else low = middle;
        }

        return best;
    }

    private static CellPlan Shrink(
        CellPlan best, CellOptions template, Trace trace, double percentile, Action<CellPlan> said,
        CancellationToken cancellation)
    {
        for (var shrunk = true; shrunk;)
        {
            shrunk = false;
            foreach (var (p, d) in (ReadOnlySpan<(int, int)>)[(1, 0), (0, 1)])
            {
                var (prefill, decode) = (best.Options.PrefillWorkers - p, best.Options.DecodeWorkers - d);
                if (prefill < 1 || decode < 1) continue;
                var plan = Try(template, trace, percentile, prefill, decode, said, cancellation);
                if (!plan.Meets) continue;
                best = plan;
                shrunk = true;
            }
        }

        return best;
    }

    private static CellPlan Try(
        CellOptions template, Trace trace, double percentile, int prefill, int decode, Action<CellPlan> said,
        CancellationToken cancellation)
    {
        var options = template with { PrefillWorkers = prefill, DecodeWorkers = decode };
        var report = new CellSimulator(options, trace).Run(cancellation);
        var plan = new CellPlan(options, report, false);
        var (ttft, tpot) = Misses(plan, percentile);
        plan = plan with { Meets = !ttft && !tpot && report.Rejected == 0 };
        said(plan);
        return plan;
    }

    private static (bool Ttft, bool Tpot) Misses(CellPlan plan, double percentile) => (
        plan.Report.TtftAttainment < percentile, plan.Report.TpotAttainment < percentile);

    // First tokens that come late may also wait for decode's memory, which the prefill workers' queue shows as well.
    private static bool IsFull(CellPlan plan) =>
        plan.Report.Preemptions > 0 || plan.Report.Rejected > 0 || plan.Report.PrefillBusy < 0.5;

    private static int Grown(int workers) => workers + Math.Max(1, workers / 4);
}
