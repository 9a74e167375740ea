using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>One prefill and one decode worker; the grain of an ended request goes after two seconds.</summary>
public sealed class ForgetfulCluster() : ClusterFixture("--record-keep", "2");

/// <summary>Clients that go away at any moment leave nothing behind.</summary>
public sealed class CancellationTests(ForgetfulCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<ForgetfulCluster>
{
    private const int Seed = 500;
    private const int Requests = 500;
    private const int Concurrency = 24;
    private static readonly TimeSpan LongestLife = TimeSpan.FromMilliseconds(250);

    [Fact]
    public async Task After_500_cancelled_requests_everything_is_back()
    {
        Output.WriteLine($"seed {Seed}");
        var before = await Cluster.WhenAllReturnedAsync(workers: 2);
        var prompts = new Prompts(Seed);
        var plans = Enumerable.Range(0, Requests).Select(index => (
            Request: new TokenRequest(prompts.OfLength(1 + prompts.Next(200)), 400, 1, Seed + index, IgnoreEos: true),
            Life: LongestLife * (prompts.Next(1000) / 1000.0),
            Tokens: 1 + prompts.Next(30))).ToArray();
        var (early, late, ended) = (0, 0, 0);
        // The control: a state without them would say nothing if none was ever seen. Seen while they run, since their
        // grains last two seconds and a busy machine takes longer for the rest.
        var seen = Cluster.WhenAsync(state => RequestActivations(state) > 2, "grains of requests");

        await Parallel.ForEachAsync(
            plans, new ParallelOptions { MaxDegreeOfParallelism = Concurrency }, async (plan, stop) =>
            {
                using var life = CancellationTokenSource.CreateLinkedTokenSource(stop);
                life.CancelAfter(plan.Life);
                try
                {
                    using var stream = await plan.Request.OpenAsync(Cluster, life.Token);
                    var answer = await stream.ReadAsync(plan.Tokens, life.Token);
                    if (answer.FinishReason is null) Interlocked.Increment(ref late);
                    else Interlocked.Increment(ref ended);
                }
                catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
                {
                    Interlocked.Increment(ref early);
                }
            });

        Output.WriteLine($"{early} went away by time, {late} amid their tokens, {ended} came to their end");
        Assert.True(early + late > Requests * 9 / 10, "Too few were cancelled to tell.");
        var after = await Cluster.WhenAllReturnedAsync(workers: 2);
        Assert.Equal(
            before.Workers.Select(worker => (worker.Id, worker.Pid, worker.Load!.TotalBlocks)),
            after.Workers.Select(worker => (worker.Id, worker.Pid, worker.Load!.TotalBlocks)));
        Assert.Equal(0, after.Tokens.Contradicting);
        await seen;
        // The readiness probe's own requests come and go: two may be there at any time.
        await Cluster.WhenAsync(
            state => RequestActivations(state) <= 2, "the end of the request grains");
        var counting = new TokenRequest(Prompts.Chat("Count from 7 to 12."), 40, 0, 0, IgnoreEos: false);
        Assert.NotEmpty(await counting.AskAsync(Cluster));
    }

    private static int RequestActivations(ClusterState state) =>
        state.Activations.Where(grain => grain.Key.Contains("request", StringComparison.OrdinalIgnoreCase))
            .Sum(grain => grain.Value);
}
