using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>One prefill and one decode worker that hand over by TCP alone.</summary>
public sealed class TcpCluster() : ClusterFixture([.. NervousCluster.Options, "--kv-transport", "tcp"]);

/// <summary>One prefill and one decode worker that hand over through shared memory alone.</summary>
public sealed class SharedCluster() : ClusterFixture([.. NervousCluster.Options, "--kv-transport", "shared"]);

public sealed class TcpHandoffFaultTests(TcpCluster fixture, ITestOutputHelper output)
    : HandoffFaults(fixture, output), IClassFixture<TcpCluster>;

public sealed class SharedHandoffFaultTests(SharedCluster fixture, ITestOutputHelper output)
    : HandoffFaults(fixture, output), IClassFixture<SharedCluster>;

/// <summary>
/// Real workers are killed or stopped while blocks travel between them: the stream goes on with the identical tokens,
/// or ends with one clean error where nobody was left in time, and nothing stays held.
/// </summary>
public abstract class HandoffFaults(ClusterFixture fixture, ITestOutputHelper output) : ClusterTest(fixture, output)
{
    [Theory]
    [InlineData("handoff", "prefill", 21)]
    [InlineData("handoff", "decode", 22)]
    [InlineData("handoff", "both", 23)]
    [InlineData("before-commit", "prefill", 24)]
    [InlineData("before-commit", "both", 25)]
    public async Task Killed_in_the_middle_of_a_handoff_no_token_changes(string phase, string victim, int seed)
    {
        var (request, expected) = await DrawAsync(seed);
        Cluster.Hold(phase, "decode");
        var answering = ReadAsync(request);
        await Cluster.WhenHeldAsync();
        var state = await Cluster.StateAsync();
        foreach (var role in Roles(victim)) Signals.Kill(state.Worker($"{role}-0").Pid);

        var answer = await answering.WaitAsync(Patience.Hang);
        Assert.Null(answer.ErrorCode);
        Assert.Equal(expected, answer.Tokens);
        state = await Cluster.WhenAllReturnedAsync(workers: 2);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    [Theory]
    [InlineData("prefill", 31)]
    [InlineData("decode", 32)]
    public Task Stopped_for_three_seconds_no_token_changes(string role, int seed) =>
        StopAsync(role, seed, TimeSpan.FromSeconds(3), mayFail: false);

    [LongFact("one minute")]
    public async Task Stopped_for_twenty_seconds_it_ends_in_the_right_tokens_or_one_clean_error()
    {
        await StopAsync("prefill", 33, TimeSpan.FromSeconds(20), mayFail: true);
        await StopAsync("decode", 34, TimeSpan.FromSeconds(20), mayFail: true);
    }

    private async Task StopAsync(string role, int seed, TimeSpan stay, bool mayFail)
    {
        var (request, expected) = await DrawAsync(seed);
        Cluster.Hold("handoff", "decode");
        var answering = ReadAsync(request);
        await Cluster.WhenHeldAsync();
        var pid = (await Cluster.StateAsync()).Worker($"{role}-0").Pid;
        Signals.Stop(pid);
        try
        {
            await Task.Delay(stay);
        }
        finally
        {
            Signals.Continue(pid);
        }

        var answer = await answering.WaitAsync(Patience.Hang);
        Output.WriteLine($"{role} stopped for {stay.TotalSeconds} s: {answer.ErrorCode ?? "answered"}");
        Assert.Equal(expected.Take(answer.Tokens.Length), answer.Tokens);
        if (!mayFail) Assert.Null(answer.ErrorCode);
        if (answer.ErrorCode is null) Assert.Equal(expected.Length, answer.Tokens.Length);
        await Cluster.WhenAllReturnedAsync(workers: 2);
    }

    private static string[] Roles(string victim) => victim == "both" ? ["prefill", "decode"] : [victim];

    private async Task<StreamedAnswer> ReadAsync(TokenRequest request)
    {
        using var stream = await request.OpenAsync(Cluster);
        return await stream.ReadAsync();
    }

    /// <summary>A request with a prompt of its own, so that no worker has its prefix.</summary>
    private async Task<(TokenRequest Request, int[] Expected)> DrawAsync(int seed)
    {
        var request = new TokenRequest(new Prompts(seed).OfLength(600), 40, 0.8, seed, IgnoreEos: true);
        var expected = Offline.TokensAsync(request);
        await Cluster.WhenAllReturnedAsync(workers: 2);
        return (request, (await expected)[0]);
    }
}
