using System.Diagnostics;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>One prefill and two decode workers whose data links go through a <see cref="LinkProxy"/>.</summary>
public sealed class ProxiedCluster : ClusterFixture
{
    private readonly LinkProxy _proxy;

    public ProxiedCluster()
        : this(new LinkProxy())
    {
    }

    private ProxiedCluster(LinkProxy proxy)
        : base(
        [
            .. NervousCluster.Options, "--decode", "2", "--kv-transport", "tcp", "--no-prefix-cache",
            "--test-data-proxy", $"{proxy.Address}",
        ]) => _proxy = proxy;

    public LinkProxy Proxy => _proxy;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _proxy.DisposeAsync();
    }
}

/// <summary>
/// The network between two real workers breaks while blocks cross it, at once or silently: nobody was killed, no token
/// changes, nothing stays held.
/// </summary>
public sealed class LinkCutTests(ProxiedCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<ProxiedCluster>
{
    // 600 tokens are 1.2 MB of KV.
    [Theory]
    [InlineData(1_100_000, false, 52)]
    [InlineData(500_000, true, 53)]
    public async Task A_handoff_whose_link_breaks_changes_no_token(int bytes, bool silent, int seed)
    {
        var (request, expected) = await DrawAsync(seed, promptTokens: 600, outputTokens: 40);
        var broken = fixture.Proxy.Broken;
        fixture.Proxy.BreakAfter(bytes, silent);
        using var stream = await request.OpenAsync(Cluster);
        await EndAsync(stream.ReadAsync(), expected);
        fixture.Proxy.BreakNone();
        Assert.Equal(broken + 1, fixture.Proxy.Broken);
    }

    [Theory]
    [InlineData(200_000, false, 61)]
    [InlineData(400_000, true, 62)]
    public async Task A_migration_whose_link_breaks_changes_no_token(int bytes, bool silent, int seed)
    {
        var (request, expected) = await DrawAsync(seed, promptTokens: 300, outputTokens: 1200);
        for (var attempt = 0; !await BreaksMigrationAsync(request, expected, bytes, silent); attempt++)
            Assert.True(attempt < 10, "Ten streams ended before their migration had carried so much.");
    }

    /// <summary>False: the stream ended, in the right tokens, before its migration's link broke.</summary>
    private async Task<bool> BreaksMigrationAsync(TokenRequest request, int[] expected, int bytes, bool silent)
    {
        var (broken, ended) = (fixture.Proxy.Broken, fixture.Proxy.Ended);
        using var stream = await request.OpenAsync(Cluster);
        var answering = stream.ReadAsync();
        while (fixture.Proxy.Ended == ended && !answering.IsCompleted) await Task.Delay(5); // the handoff's link
        fixture.Proxy.BreakAfter(bytes, silent);
        await MoveAsync(stream.RequestId, answering);
        await EndAsync(answering, expected);
        fixture.Proxy.BreakNone();
        Assert.InRange(fixture.Proxy.Broken - broken, 0, 1);
        return fixture.Proxy.Broken > broken;
    }

    /// <summary>Begins its migration, away from whichever worker has it, unless it ends before.</summary>
    private async Task MoveAsync(string requestId, Task answering)
    {
        string[] targets = ["decode-1", "decode-0"];
        for (var attempt = 0; !answering.IsCompleted; attempt++)
        {
            if (await Flooder.TryMoveAsync(Cluster, requestId, targets[attempt % 2]) is null) return;
            await Task.Delay(5);
        }
    }

    private async Task EndAsync(Task<StreamedAnswer> answering, int[] expected)
    {
        var clock = Stopwatch.StartNew();
        var answer = await answering.WaitAsync(Patience.Hang);
        Output.WriteLine($"ended after {clock.Elapsed.TotalSeconds:0.00} s");
        Assert.Null(answer.ErrorCode);
        Assert.Equal(expected, answer.Tokens);
        var state = await Cluster.WhenAllReturnedAsync(workers: 3);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    private async Task<(TokenRequest Request, int[] Expected)> DrawAsync(int seed, int promptTokens, int outputTokens)
    {
        await Cluster.WhenAllReturnedAsync(workers: 3);
        var request = new TokenRequest(
            new Prompts(seed).OfLength(promptTokens), outputTokens, 0.8, seed, IgnoreEos: true);
        return (request, (await Offline.TokensAsync(request))[0]);
    }
}
