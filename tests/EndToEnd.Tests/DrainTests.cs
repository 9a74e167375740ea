using System.Diagnostics;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Two prefill and two decode workers: each has one that can take over.</summary>
public sealed class PairsCluster() : ClusterFixture(
    "--prefill", "2", "--decode", "2", "--drain-grace", "15");

/// <summary>Workers are told to stop under constant load: no request fails, and they leave before their
/// deadline.</summary>
public sealed class DrainTests(PairsCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<PairsCluster>
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(15);

    [Fact]
    public async Task SIGTERM_at_constant_load_fails_no_request()
    {
        TokenRequest[] requests =
        [
            .. Enumerable.Range(0, 6).Select(i =>
                new TokenRequest(new Prompts(40 + i).OfLength(30 + (20 * i)), 1500, i % 2, i, IgnoreEos: true)),
        ];
        var expected = await Offline.TokensAsync(requests);
        using var stop = new CancellationTokenSource();
        var finished = 0;
        var load = Enumerable.Range(0, requests.Length).Select(async i =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var stream = await requests[i].OpenAsync(Cluster);
                var answer = await stream.ReadAsync();
                Assert.True(answer.ErrorCode is null, $"{requests[i]}: {answer.ErrorCode}\n{Cluster.LogTail()}");
                Assert.Equal(expected[i], answer.Tokens);
                Interlocked.Increment(ref finished);
            }
        }).ToArray();
        foreach (var worker in (string[])["decode-0", "decode-1", "prefill-0"])
        {
            // A prefill is over too soon to be met; a decode worker must have something to lose.
            await Cluster.WhenAsync(
                state => state.Workers.Count == 4
                    && (state.Worker(worker).Attempts > 0 || state.Worker(worker).Role == "prefill"),
                $"work on {worker}");
            var before = (await Cluster.StateAsync()).Worker(worker);
            var clock = Stopwatch.StartNew();
            Signals.Terminate(before.Pid);
            while (Directory.Exists($"/proc/{before.Pid}") && clock.Elapsed < Grace + TimeSpan.FromSeconds(5))
                await Task.Delay(20);
            Output.WriteLine($"{worker} left after {clock.Elapsed.TotalSeconds:F2} s of {Grace.TotalSeconds} s");
            Assert.True(clock.Elapsed < Grace, $"{worker} did not leave in time");
            await Cluster.WhenAsync(
                state => state.Workers.Any(now => now.Id == worker && now.Pid != before.Pid), "its successor");
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        Output.WriteLine($"{finished} requests finished");
        Assert.True(finished > 0);
        await Cluster.WhenAllReturnedAsync(workers: 4);
    }
}
