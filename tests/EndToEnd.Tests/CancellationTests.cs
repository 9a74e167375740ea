using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Clients that go away at any moment leave nothing behind.</summary>
public sealed class CancellationTests(SplitCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<SplitCluster>
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
        // Activations follow when their grains have been idle for a while.
        await Cluster.WhenAsync(
            state => RequestActivations(state) <= RequestActivations(before), "the request grains' end",
            TimeSpan.FromSeconds(90));
        var counting = new TokenRequest(Prompts.Chat("Count from 7 to 12."), 40, 0, 0, IgnoreEos: false);
        Assert.NotEmpty(await counting.AskAsync(Cluster));
    }

    private static int RequestActivations(ClusterState state) =>
        state.Activations.Where(count => count.Key.Contains("Request", StringComparison.Ordinal)).Sum(count => count.Value);
}
