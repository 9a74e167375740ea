using System.Globalization;
using System.Net;
using Krewe.Control.Metrics;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Telemetry;

public sealed class MetricsTests
{
    [Fact]
    public async Task Requests_tokens_and_times_are_counted_and_every_silo_metric_is_there()
    {
        await using var silo = await SiloHarness.StartPairAsync(options => options with
        {
            TtftSlo = TimeSpan.FromHours(1),
        });
        for (var i = 0; i < 3; i++)
        {
            using var answer = await silo.PostAsync(
                "/v1/completions", """{"model": "tiny", "prompt": "My secret is plum", "max_tokens": 5}""");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        using (await silo.PostAsync("/v1/completions", """{"model": "tiny"}""")) await silo.UntilQuietAsync();

        // A request is counted when it is over, which is a moment after its client has the last byte.
        var text = "";
        await Eventually.UntilAsync(
            async () => (text = await silo.Client.GetStringAsync("/metrics"))
                .Contains("code=\"400\"", StringComparison.Ordinal) && SumOf(text, "krewe_requests_total") >= 4,
            "all four requests are counted");
        using var response = await silo.Client.GetAsync("/metrics");

        Assert.Equal(PrometheusText.ContentType, response.Content.Headers.ContentType!.ToString());
        foreach (var info in SiloMetric.All) Assert.Contains($"# TYPE {info.Name} ", text, StringComparison.Ordinal);
        Assert.Equal(3, Value(text, "krewe_requests_total", "kind=\"text\",outcome=\"finished\""));
        Assert.Equal(1, Value(text, "krewe_requests_total", "kind=\"text\",outcome=\"invalid\""));
        Assert.Equal(3, Value(text, "krewe_requests_good_total", ""));
        Assert.Equal(3, Value(text, "krewe_time_to_first_token_seconds_count", ""));
        Assert.Equal(12, Value(text, "krewe_inter_token_latency_seconds_count", ""));
        Assert.Equal(3, Value(text, "krewe_handoff_seconds_count", ""));
        Assert.Equal(15, Value(text, "vllm:generation_tokens_total", ""));
        Assert.Equal(15, Value(text, "krewe_stream_tokens_total", "fate=\"accepted\""));
        Assert.Equal(3, Value(text, "vllm:request_success_total", "finished_reason=\"length\""));
        Assert.Equal(1, Value(text, "krewe_workers", "role=\"prefill\",state=\"ready\""));
        Assert.True(Value(text, "krewe_grain_calls_total", "grain=\"RequestGrain\",outcome=\"ok\"") >= 3);
        Assert.True(Value(text, "krewe_http_responses_total", "code=\"400\"") >= 1);
        Assert.DoesNotContain("plum", text, StringComparison.Ordinal);
    }

    // The two workers tell the silo by links of their own, so either may be first.
    [Fact]
    public async Task A_handoff_is_counted_when_its_commit_overtakes_the_end_of_the_prefill()
    {
        await using var silo = await SiloHarness.StartPairAsync();
        silo.Prefill.TellsPrefillEndLate = true;
        using var answer = await silo.PostAsync(
            "/v1/completions", """{"model": "tiny", "prompt": "x", "max_tokens": 5}""");
        var text = await silo.Client.GetStringAsync("/metrics");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(1, Value(text, "krewe_handoff_seconds_count", ""));
    }

    [Fact]
    public async Task A_request_that_no_worker_can_take_is_counted_as_refused()
    {
        await using var silo = await SiloHarness.StartAsync();
        using var answer = await silo.PostAsync(
            "/v1/completions", """{"model": "tiny", "prompt": "x", "max_tokens": 5}""");
        var text = await silo.Client.GetStringAsync("/metrics");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(1, Value(text, "krewe_requests_total", "outcome=\"refused\""));
        Assert.Equal(1, Value(text, "krewe_refusals_total", "reason=\"no_workers\""));
    }

    private static double SumOf(string text, string name) => text.Split('\n')
        .Where(line => line.StartsWith(name + "{", StringComparison.Ordinal))
        .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    /// <summary>Of the one series whose labels contain the text.</summary>
    private static double Value(string text, string name, string labels)
    {
        var line = Assert.Single(text.Split('\n'), line =>
            line.StartsWith(name + "{", StringComparison.Ordinal) && line.Contains(labels, StringComparison.Ordinal));
        return double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }
}
