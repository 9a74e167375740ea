using System.Net;
using System.Text;
using Krewe.Simulation;

namespace Krewe.Cli.Tests.Benching;

public sealed class LoadTests
{
    private const string Events = "id: 1\ndata: {\"a\":\"data\"}\n\nid: 2\ndata: {}\n\ndata: [DONE]\n\n";

    [Fact]
    public void Events_are_counted_wherever_their_bytes_are_cut()
    {
        var bytes = Encoding.UTF8.GetBytes(Events);
        for (var size = 1; size <= bytes.Length; size++)
        {
            var counter = new EventCounter();
            foreach (var piece in bytes.Chunk(size)) counter.Take(piece);

            Assert.Equal((2, true), (counter.Count, counter.IsDone));
        }
    }

    [Fact]
    public void Percentiles_are_values_that_were_measured()
    {
        double[] sorted = [1, 2, 3, 4];

        Assert.Equal(2, LoadFigures.Percentile(sorted, 50));
        Assert.Equal(4, LoadFigures.Percentile(sorted, 99));
        Assert.True(double.IsNaN(LoadFigures.Percentile([], 50)));
    }

    [Fact]
    public void Blocks_of_one_id_have_the_same_tokens_and_no_others_have()
    {
        var trace = new Trace(
            "t", [new(0, 6, 3, 0, 2), new(5_000_000, 6, 3, 2, 2), new(9_000_000, 500, 900, 0, 2)], [7, 8, 7, 9], 3);

        var plan = LoadPlan.Of(trace, contextTokens: 100, vocabularySize: 1000, seed: 1, key: null);

        Assert.Equal(plan[0].Prompt[..3], plan[1].Prompt[..3]);
        Assert.NotEqual(plan[0].Prompt[3..], plan[1].Prompt[3..]);
        Assert.Equal(TimeSpan.FromMilliseconds(5), plan[1].At);
        // More than the context takes is cut: the answer first has its place.
        Assert.Equal((1, 99), (plan[2].Prompt.Length, plan[2].OutputTokens));
    }

    /// <summary>One at a time, each late: the waiting of those behind counts, or a stall would look good.</summary>
    [Fact]
    public async Task Latency_counts_from_when_a_request_was_due()
    {
        using var http = new HttpClient(new Stalling()) { BaseAddress = new Uri("http://127.0.0.1:1/") };
        var requests = Enumerable.Range(0, 4).Select(_ => new LoadRequest(TimeSpan.Zero, [1], 2)).ToList();

        var outcomes = await new OpenLoop(http, TimeProvider.System, concurrency: 1).RunAsync(requests, null, default);

        Assert.All(outcomes, outcome => Assert.True(outcome.IsWhole, outcome.Error));
        Assert.All(outcomes, outcome => Assert.Equal(2, outcome.Tokens));
        var last = outcomes.Max(outcome => outcome.TtftMs);
        Assert.True(last > 4 * Stalling.Stall.TotalMilliseconds * 0.9, $"{last} ms");
    }

    [Fact]
    public void Good_requests_keep_both_limits()
    {
        LoadOutcome[] outcomes =
        [
            Outcome(firstMs: 50, endMs: 150), Outcome(firstMs: 500, endMs: 600), Outcome(firstMs: 50, endMs: 1050),
            Outcome(firstMs: 50, endMs: 150) with { Error = "refused", Status = 429 },
        ];

        var report = TraceRunReport.Of(
            "t", outcomes, TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(20));

        Assert.Equal(0.25, report.GoodShare);
        Assert.Equal((3, 1, 0), (report.Figures.Whole, report.Figures.Refused, report.Figures.Failed));
        Assert.Equal(5, TraceRunReport.ToCsv(outcomes).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("<svg", TraceRunReport.ToPlot("t", outcomes), StringComparison.Ordinal);
    }

    private static LoadOutcome Outcome(double firstMs, double endMs) => new(
        new LoadRequest(TimeSpan.Zero, [1], 11), TimeSpan.Zero, TimeSpan.FromMilliseconds(firstMs),
        TimeSpan.FromMilliseconds(endMs), 11, 200, null);

    /// <summary>Answers each request after a while.</summary>
    private sealed class Stalling : HttpMessageHandler
    {
        public static readonly TimeSpan Stall = TimeSpan.FromMilliseconds(50);

        protected override async Task<HttpResponseMessage> SendAsync(
            HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await Task.Delay(Stall, cancellationToken);
            return new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(Events) };
        }
    }
}
