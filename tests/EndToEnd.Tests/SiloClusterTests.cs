using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Three silos, Redis and workers as real processes: what dies, and who notices.</summary>
public sealed class SiloClusterTests(ITestOutputHelper output)
{
    private const int Tokens = 500;

    [OrleansFact]
    public async Task A_killed_silo_costs_its_own_streams_a_moment_and_the_others_nothing()
    {
        await using var cluster = await SiloCluster.StartAsync();
        await ComeBackThroughAnotherSiloAsync(cluster);

        var answers = new HttpResponseMessage[9];
        for (var i = 0; i < answers.Length; i++)
            answers[i] = await cluster.OpenAsync(i % SiloCluster.Silos, $"load-{i}", Tokens, seed: i);
        var reads = answers.Select(SiloCluster.ReadEventsAsync).ToArray();
        cluster.Kill("silo-0");
        var clock = Stopwatch.StartNew();
        var events = await Task.WhenAll(reads);
        for (var i = 0; i < answers.Length; i++)
        {
            using var answer = answers[i];
            var id = answer.Headers.GetValues("x-request-id").Single();
            if (i % SiloCluster.Silos != 0)
                Assert.True(SiloCluster.IsWhole(events[i]), $"stream {i} was cut\n{cluster.Logs()}");
            else if (SiloCluster.IsWhole(events[i]))
                output.WriteLine($"stream {i} was over before its silo died");
            else
            {
                events[i] += await cluster.ResumeAsync(1, id, SiloCluster.LastId(events[i]));
                output.WriteLine($"stream {i} was whole {clock.Elapsed.TotalSeconds:0.0} s after the kill");
            }

            // The truth is asked for elsewhere, from its first token.
            Assert.Equal(await cluster.ResumeAsync(2, id, after: null), events[i]);
        }

        // Nothing of the dead silo's is held: workers' blocks, and leases. The readiness probes come and go.
        await cluster.WhenAsync(
            1, state => state.GetProperty("silos").GetArrayLength() == 2
                && state.GetProperty("workers").EnumerateArray().All(
                    worker => worker.GetProperty("attempts").GetInt32() == 0), "two silos, and nothing held");

        // One that is asked to go leaves its cluster, and nobody has to find out.
        cluster.Terminate("silo-1");
        await cluster.WhenAsync(2, state => state.GetProperty("silos").GetArrayLength() == 1, "one silo");
    }

    [OrleansFact("a minute")]
    public async Task A_redis_that_is_away_for_30_seconds_loses_nothing()
    {
        await using var cluster = await SiloCluster.StartAsync();
        var answers = new HttpResponseMessage[6];
        for (var i = 0; i < answers.Length; i++)
            answers[i] = await cluster.OpenAsync(i % SiloCluster.Silos, $"running-{i}", 1500, seed: i);
        cluster.Kill("redis");
        var clock = Stopwatch.StartNew();
        var events = await Task.WhenAll(answers.Select(SiloCluster.ReadEventsAsync));
        Assert.All(events, stream => Assert.True(SiloCluster.IsWhole(stream), cluster.Logs()));

        while (clock.Elapsed < TimeSpan.FromSeconds(30))
        {
            using var refused = await TryAsync(cluster);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }

        await using var redis = cluster.RestartRedis();
        clock.Restart();
        while (true)
        {
            using var served = await TryAsync(cluster);
            if (served.IsSuccessStatusCode) break;
            Assert.True(clock.Elapsed < Patience.Hang, cluster.Logs());
        }

        output.WriteLine($"served again {clock.Elapsed.TotalSeconds:0.0} s after Redis was back");

        // Written while their silos lived; then read by the others alone.
        await Task.Delay(TimeSpan.FromSeconds(6));
        cluster.Kill("silo-0");
        for (var i = 0; i < answers.Length; i++)
        {
            using var answer = answers[i];
            var id = answer.Headers.GetValues("x-request-id").Single();
            Assert.Equal(events[i], await cluster.ResumeAsync(1, id, after: null));
        }
    }

    [OrleansFact]
    public async Task A_redis_that_cannot_be_reached_is_one_clear_error()
    {
        var port = Ports.Free(neighbours: 3);
        var (code, _, log) = await KreweProcess.RunAsync(
            "silo", "--port", $"{port}", "--link-port", $"{port + 1}", "--silo-port", $"{port + 2}",
            "--redis", "127.0.0.1:1", "--redis-wait", "1");

        Assert.Equal(1, code);
        Assert.Contains("Redis at 127.0.0.1:1 cannot be used: it does not answer.", log, StringComparison.Ordinal);
        Assert.Contains("--redis", log, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", log, StringComparison.Ordinal);
    }

    /// <summary>A client that left one silo meets another: through a load balancer it cannot choose.</summary>
    private static async Task ComeBackThroughAnotherSiloAsync(SiloCluster cluster)
    {
        using var first = await cluster.OpenAsync(0, "travels", Tokens, seed: 99);
        var id = first.Headers.GetValues("x-request-id").Single();
        using var reader = new StreamReader(await first.Content.ReadAsStreamAsync());
        var before = "";
        for (var line = 0; line < 3 * 5; line++) before += await reader.ReadLineAsync() + "\n";

        var rest = await cluster.ResumeAsync(1, id, SiloCluster.LastId(before));
        using var asked = await cluster.OpenAsync(2, "travels", Tokens, seed: 99);
        var again = await SiloCluster.ReadEventsAsync(asked);

        Assert.Equal(again, before + rest);
        Assert.True(SiloCluster.IsWhole(again));
        Assert.Equal(id, asked.Headers.GetValues("x-request-id").Single());
    }

    private static Task<HttpResponseMessage> TryAsync(SiloCluster cluster) => cluster.Client(1).PostAsJsonAsync(
        "/v1/completions", new JsonObject { ["prompt"] = new JsonArray(5, 6, 7), ["max_tokens"] = 2 });
}
