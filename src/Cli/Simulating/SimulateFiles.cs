using System.Globalization;
using System.Text.Json;
using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>Simulated runs for programs: JSON, one line a request, charts.</summary>
internal static class SimulateFiles
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
    };

    public static void WriteJson(string path, IReadOnlyList<SimulatedRun> runs) => File.WriteAllText(
        path, JsonSerializer.Serialize(runs.Select(run => Describe(run)), Json) + "\n");

    /// <summary>One line a request: as DistServe's simulator writes them.</summary>
    public static void WriteCsv(string path, IReadOnlyList<SimulatedRun> runs)
    {
        File.WriteAllLines(path, runs.Single().Report.Outcomes
            .Select((o, i) => string.Create(CultureInfo.InvariantCulture,
                $"{i},{o.TtftNs / 1e6:0.######},{1000 * o.TpotSeconds:0.######},{o.TotalNs / 1e6:0.######}"))
            .Prepend("req_id,first_token_latency,tpot,total_latency"));
    }

    /// <summary>Attainment against rate per GPU, a line for each policy.</summary>
    public static void WriteChart(string path, IReadOnlyList<SimulatedRun> runs)
    {
        var first = runs[0].Report;
        var chart = new SvgChart(
            $"{first.Trace}: SLO attainment", "requests/s per GPU", "SLO attainment, %")
        {
            YMax = 100,
            YGuide = 90,
        };
        foreach (var policy in runs.GroupBy(r => r.Report.Policy))
        {
            chart.AddLine(policy.Key, [.. policy.Select(r =>
                new ChartPoint(r.Report.RatePerSecond / r.Report.Gpus, 100 * r.Report.Attainment))]);
        }

        File.WriteAllText(path, chart.Render());
    }

    private static object Describe(SimulatedRun run)
    {
        var r = run.Report;
        return new
        {
            r.Trace,
            Policy = r.Policy,
            Mode = Setting.Name(r.Mode),
            r.Costs,
            r.PrefillWorkers,
            r.DecodeWorkers,
            r.Gpus,
            r.Seed,
            run.RateScale,
            r.RatePerSecond,
            r.Requests,
            r.Rejected,
            SloTtftSeconds = r.Slo.TtftSeconds,
            SloTpotSeconds = r.Slo.TpotSeconds,
            r.Attainment,
            r.TtftAttainment,
            r.TpotAttainment,
            r.Goodput,
            r.GoodputPerGpu,
            r.TtftMs,
            r.TpotMs,
            r.TotalMs,
            r.HitRate,
            r.Preemptions,
            r.OutputTokensPerSecond,
            r.PrefillBusy,
            r.DecodeBusy,
            r.CarriedBytes,
            r.VirtualSeconds,
            r.Events,
            r.Steps,
            run.WallSeconds,
        };
    }
}
