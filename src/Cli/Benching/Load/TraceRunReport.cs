using System.Globalization;
using System.Text;
using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench serving --trace --json</c> and <c>krewe replay --json</c> print.</summary>
/// <param name="Seconds">From the first request that was due to the last answer.</param>
/// <param name="RequestsPerSecond">Answered whole.</param>
/// <param name="GoodShare">Of all requests: answered whole, both limits kept.</param>
/// <param name="Goodput">Those a second.</param>
/// <param name="LateMs">P99 of how late requests were sent: the generator's own error. Latencies count it.</param>
internal sealed record TraceRunReport(
    string Trace, double Seconds, double RequestsPerSecond, double OutputTokensPerSecond, LoadFigures Figures,
    double SloTtftMs, double SloTpotMs, double GoodShare, double Goodput, double LateMs)
{
    public static TraceRunReport Of(string trace, IReadOnlyList<LoadOutcome> outcomes, TimeSpan ttft, TimeSpan tpot)
    {
        var seconds = outcomes.Max(outcome => outcome.EndedAt).TotalSeconds;
        var good = outcomes.Count(outcome => outcome.IsWhole && outcome.TtftMs <= ttft.TotalMilliseconds
            && (outcome.TpotMs ?? 0) <= tpot.TotalMilliseconds);
        var late = LoadFigures.Sorted(outcomes.Select(
            outcome => (double?)(outcome.SentAt - outcome.Request.At).TotalMilliseconds));
        return new TraceRunReport(
            trace, seconds, outcomes.Count(outcome => outcome.IsWhole) / seconds,
            outcomes.Sum(outcome => outcome.Tokens) / seconds, LoadFigures.Of(outcomes), ttft.TotalMilliseconds,
            tpot.TotalMilliseconds, (double)good / outcomes.Count, good / seconds, LoadFigures.Percentile(late, 99));
    }

    /// <summary>One line a request; times in ms since the run's start.</summary>
    public static string ToCsv(IEnumerable<LoadOutcome> outcomes)
    {
        var text = new StringBuilder(
            "due_ms,sent_ms,ttft_ms,tpot_ms,latency_ms,prompt_tokens,output_tokens,status,error\n");
        foreach (var outcome in outcomes)
        {
            var error = outcome.Error?.Replace('"', '\'').ReplaceLineEndings(" ");
            text.Append(CultureInfo.InvariantCulture,
                $"{outcome.Request.At.TotalMilliseconds:0.###},{outcome.SentAt.TotalMilliseconds:0.###},");
            text.Append(CultureInfo.InvariantCulture,
                $"{outcome.TtftMs:0.###},{outcome.TpotMs:0.###},{outcome.LatencyMs:0.###},");
            text.Append(CultureInfo.InvariantCulture,
                $"{outcome.Request.Prompt.Length},{outcome.Tokens},{outcome.Status},\"{error}\"\n");
        }

        return text.ToString();
    }

    /// <summary>Which share of the requests had its first token, and its end, by when.</summary>
    public static string ToPlot(string trace, IReadOnlyList<LoadOutcome> outcomes)
    {
        var chart = new SvgChart($"{trace}: {outcomes.Count} requests", "ms since due", "share of requests")
        {
            YMax = 1,
        };
        chart.AddLine("first token", Points(outcomes.Select(outcome => outcome.TtftMs)));
        chart.AddLine("end", Points(outcomes.Select(outcome => (double?)outcome.LatencyMs)));
        return chart.Render();

        ChartPoint[] Points(IEnumerable<double?> values)
        {
            var sorted = LoadFigures.Sorted(values);
            var step = Math.Max(1, sorted.Length / 200);
            return [.. sorted.Index().Where(point => point.Index % step == 0 || point.Index == sorted.Length - 1)
                .Select(point => new ChartPoint(point.Item, (point.Index + 1.0) / outcomes.Count))];
        }
    }
}
