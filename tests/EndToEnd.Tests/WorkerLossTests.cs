using System.Diagnostics;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary><c>kill -9</c> in every phase: the stream goes on with the identical tokens; nothing stays held.</summary>
public sealed class WorkerLossTests(NervousCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<NervousCluster>
{
    [Theory]
    [InlineData("queued", "decode", 1)]
    [InlineData("handoff", "decode", 2)]
    [InlineData("before-commit", "decode", 3)]
    [InlineData("decoding", "decode", 4)]
    [InlineData("queued", "prefill", 5)]
    [InlineData("computing", "prefill", 6)]
    [InlineData("handoff", "prefill", 7)]
    public async Task A_worker_that_is_killed_changes_no_token(string phase, string role, int seed)
    {
        var request = Draw(seed);
        var expected = await ExpectAsync(request);

        Cluster.Hold(phase, role);
        var answering = ReadAsync(request);
        await Cluster.WhenHeldAsync();
        var victim = (await Cluster.StateAsync()).Worker($"{role}-0");
        Signals.Kill(victim.Pid);
        var clock = Stopwatch.StartNew();
        var answer = await answering.WaitAsync(Patience.Hang);

        Output.WriteLine($"went on to its end {clock.Elapsed.TotalSeconds:0.00} s after the kill");
        Assert.Null(answer.ErrorCode);
        Assert.Equal("length", answer.FinishReason);
        Assert.Equal(expected, answer.Tokens);
        var state = await Cluster.WhenAllReturnedAsync(workers: 2);
        Assert.NotEqual(victim.Pid, state.Worker($"{role}-0").Pid);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    [Theory]
    [InlineData("prefill", 8)]
    [InlineData("decode", 9)]
    public async Task A_worker_that_hangs_is_noticed_and_comes_back_clean(string role, int seed)
    {
        var request = Draw(seed);
        var expected = await ExpectAsync(request);
        var before = (await Cluster.StateAsync()).Worker($"{role}-0");

        Signals.Stop(before.Pid);
        Task<StreamedAnswer> answering;
        try
        {
            answering = ReadAsync(request);
            await Cluster.WhenAsync(
                state => state.Workers.All(worker => worker.Id != before.Id), "the silence of the worker");
        }
        finally
        {
            Signals.Continue(before.Pid);
        }

        var answer = await answering.WaitAsync(Patience.Hang);
        Assert.Null(answer.ErrorCode);
        Assert.Equal(expected, answer.Tokens);
        var after = (await Cluster.WhenAllReturnedAsync(workers: 2)).Worker(before.Id);
        Assert.Equal(before.Pid, after.Pid);
        Assert.True(after.LinkEpoch > before.LinkEpoch, $"link epoch {before.LinkEpoch}, then {after.LinkEpoch}");
    }

    private async Task<StreamedAnswer> ReadAsync(TokenRequest request)
    {
        using var stream = await request.OpenAsync(Cluster);
        return await stream.ReadAsync();
    }

    private async Task<int[]> ExpectAsync(TokenRequest request)
    {
        var expected = Offline.TokensAsync(request);
        await Cluster.WhenAllReturnedAsync(workers: 2);
        return (await expected)[0];
    }

    /// <summary>Each case has a prompt of its own: no worker has its prefix in the cache.</summary>
    private static TokenRequest Draw(int seed) =>
        new(new Prompts(seed).OfLength(600), 40, 0.8, seed, IgnoreEos: true);
}
