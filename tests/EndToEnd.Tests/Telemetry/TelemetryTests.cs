using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Control.Metrics;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests.Telemetry;

public sealed class TelemetryTests
{
    private const string Secret = "plumbago";
    [Fact]
    public async Task One_streamed_request_is_one_trace_of_nine_steps_across_three_processes()
    {
        await using var collector = await OtlpReceiver.StartAsync();
        var port = Ports.Free(neighbours: 2);
        await using var cluster = await KreweCluster.StartAsync(
            "--otlp", collector.Address.ToString(), "--log-format", "json", "--metrics", $"127.0.0.1:{port}");
        var (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        await StreamAsync(cluster, $"00-{trace}-{parent}-01");

        var spans = await WhenNineStepsAsync(collector, trace);
        var root = Assert.Single(spans, span => span.Step == 0);
        Assert.Equal(("chat tiny", parent, "silo-0"), (root.Span.Name, root.ParentId, root.Instance));
        Assert.Equal("tiny", root.Attribute("gen_ai.request.model")!.StringValue);
        Assert.Equal(8, root.Attribute("gen_ai.usage.output_tokens")!.IntValue);
        Assert.All(spans.Where(span => span.Step > 0), span => Assert.Equal(root.SpanId, span.ParentId));
        string[] where =
            ["silo-0", "silo-0", "silo-0", "prefill-0", "decode-0", "decode-0", "decode-0", "silo-0", "silo-0"];
        Assert.Equal(where, Enumerable.Range(1, 9).Select(step => Only(spans, step).Instance));
        Assert.All(Enumerable.Range(1, 9), step => Assert.True(
            Only(spans, step).Span.StartTimeUnixNano <= Only(spans, step).Span.EndTimeUnixNano));
        Assert.True(Only(spans, 4).Span.EndTimeUnixNano <= Only(spans, 7).Span.EndTimeUnixNano);
        Assert.True(Only(spans, 5).Attribute("krewe.kv.blocks")!.IntValue > 0);

        await CheckMetricsAsync(cluster, port);
        Assert.False(collector.SawText(Secret), "a prompt's text left the cluster");
        Assert.True(collector.SawText("gen_ai.provider.name"));
        CheckLog(cluster);
    }

    /// <summary>The workers' pages have every metric of theirs, and none that could grow without end.</summary>
    private static async Task CheckMetricsAsync(KreweCluster cluster, int port)
    {
        using var http = new HttpClient();
        var prefill = await http.GetStringAsync($"http://127.0.0.1:{port}/metrics");
        var decode = await http.GetStringAsync($"http://127.0.0.1:{port + 1}/metrics");
        foreach (var info in WorkerMetric.All)
            Assert.Contains($"# TYPE {info.Name} ", prefill, StringComparison.Ordinal);
        Assert.Contains("worker=\"prefill-0\",role=\"prefill\"", prefill, StringComparison.Ordinal);
        Assert.Contains(
            "krewe_worker_handoffs_total{model=\"tiny\",worker=\"decode-0\",role=\"decode\",outcome=\"committed\"}",
            decode, StringComparison.Ordinal);
        Assert.Contains("vllm:num_requests_running{model_name=\"tiny\"", decode, StringComparison.Ordinal);
        Assert.Equal("ok", await http.GetStringAsync($"http://127.0.0.1:{port}/health/ready"));
        Assert.Equal("ok", await http.GetStringAsync($"http://127.0.0.1:{port}/health/live"));
        var silo = await cluster.Http.GetStringAsync("/metrics");
        Assert.DoesNotContain(Secret, prefill + decode + silo, StringComparison.Ordinal);
        Assert.DoesNotContain("the-request", prefill + decode + silo, StringComparison.Ordinal);
    }

    /// <summary>All that the processes said is JSON, but the one line that says that the cluster is ready.</summary>
    private static void CheckLog(KreweCluster cluster)
    {
        var lines = cluster.Log.Split('\n').Where(line => line.Length > 0).ToArray();
        Assert.All(lines.Where(line => !line.StartsWith("Krewe is ready", StringComparison.Ordinal)), line =>
        {
            using var json = JsonDocument.Parse(line);
            Assert.True(json.RootElement.TryGetProperty("message", out _), line);
        });
        Assert.NotEmpty(lines);
    }

    private static async Task StreamAsync(KreweCluster cluster, string traceParent)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions");
        message.Headers.Add("traceparent", traceParent);
        message.Headers.Add("X-Request-Id", "the-request");
        message.Content = JsonContent.Create(new JsonObject
        {
            ["model"] = "tiny",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = $"Say {Secret}." }),
            ["max_tokens"] = 8,
            ["ignore_eos"] = true,
            ["stream"] = true,
        });
        using var answer = await cluster.Http.SendAsync(message);
        Assert.EndsWith("data: [DONE]\n\n", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static async Task<ReceivedSpan[]> WhenNineStepsAsync(OtlpReceiver collector, string trace)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var spans = collector.Spans.Where(span => span.TraceId == trace).ToArray();
            var steps = spans.Select(span => span.Step).Distinct().Order().ToArray();
            if (steps.SequenceEqual(Enumerable.Range(0, 10))) return spans;
            Assert.True(clock.Elapsed < Patience.Hang, $"Only steps {string.Join(", ", steps)} came in time.");
            await Task.Delay(50);
        }
    }

    private static ReceivedSpan Only(ReceivedSpan[] spans, int step) =>
        Assert.Single(spans, span => span.Step == step);
}
