using System.Diagnostics;
using System.Net;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>One prefill and one decode worker, and almost no patience when one is missing.</summary>
public sealed class ImpatientCluster() : ClusterFixture(
    "--heartbeat", "0.1", "--silence-limit", "3", "--handoff-lease", "6", "--worker-wait", "1");

/// <summary>When no worker is left a request ends in one clean error, soon; when one is back it is served.</summary>
public sealed class NoWorkerTests(ImpatientCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<ImpatientCluster>
{
    private const int Seed = 99;

    /// <summary>Soon: silence limit, worker wait, and some room. Held to where there is time to have a machine alone.
    /// </summary>
    private static readonly TimeSpan Limit = Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1"
        ? TimeSpan.FromSeconds(30)
        : Patience.Hang;

    [Fact]
    public async Task A_stream_whose_last_decode_worker_is_gone_ends_in_one_error()
    {
        var request = new TokenRequest(new Prompts(Seed).OfLength(100), 1500, 1, Seed, IgnoreEos: true);
        var worker = (await Cluster.WhenAllReturnedAsync(workers: 2)).Worker("decode-0");
        // Held, so that it cannot have ended before its worker is stopped.
        Cluster.Hold("decoding", "decode");
        using var stream = await request.OpenAsync(Cluster);
        await Cluster.WhenHeldAsync();
        var clock = Stopwatch.StartNew();
        Signals.Stop(worker.Pid);
        try
        {
            var answer = await stream.ReadAsync().WaitAsync(Limit);

            Output.WriteLine($"ended with {answer.ErrorCode} after {clock.Elapsed.TotalSeconds:0.00} s");
            Assert.Null(answer.FinishReason);
            Assert.NotNull(answer.ErrorCode);
            using var refused = await request.OpenAsync(Cluster).WaitAsync(Limit);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
            Assert.Equal("no_workers", (await refused.ReadAsync()).ErrorCode);
        }
        finally
        {
            // The hold outlives the stop: only a new process is free of it.
            Signals.Kill(worker.Pid);
        }

        await Cluster.WhenAllReturnedAsync(workers: 2);
        var again = request with { MaxTokens = 5 };
        Assert.Equal(5, (await again.AskAsync(Cluster)).Length);
    }
}
