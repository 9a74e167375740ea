using System.Diagnostics;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Processes die, hang and are cut off in every stage of a migration: right tokens, and nothing stays
/// held.</summary>
public sealed class MigrationFaultTests(SpareDecodeCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<SpareDecodeCluster>
{
    [Theory]
    [InlineData("migration-sending", true, false, 1)]
    [InlineData("migration-copying", true, false, 2)]
    [InlineData("migration-frozen", true, false, 3)]
    [InlineData("migration-sending", false, true, 4)]
    [InlineData("migration-copying", false, true, 5)]
    [InlineData("migration-frozen", false, true, 6)]
    [InlineData("migration-copying", true, true, 7)]
    [InlineData("migration-frozen", true, true, 8)]
    public async Task Whoever_is_killed_in_whatever_stage_no_token_changes(
        string phase, bool killSource, bool killTarget, int seed)
    {
        var (request, expected) = await DrawAsync(seed);
        var (answering, source, target) = await BeginAsync(request, phase);
        var state = await Cluster.StateAsync();
        if (killSource) Signals.Kill(state.Worker(source).Pid);
        if (killTarget) Signals.Kill(state.Worker(target).Pid);
        await EndAsync(answering, expected);
    }

    [Theory]
    [InlineData("migration-sending", true, 11)]
    [InlineData("migration-copying", false, 12)]
    [InlineData("migration-frozen", false, 13)]
    [InlineData("migration-frozen", true, 14)]
    public async Task Whoever_hangs_in_whatever_stage_no_token_changes(string phase, bool stopSource, int seed)
    {
        var (request, expected) = await DrawAsync(seed);
        var (answering, source, target) = await BeginAsync(request, phase);
        var pid = (await Cluster.StateAsync()).Worker(stopSource ? source : target).Pid;
        Signals.Stop(pid);
        var waking = Task.Run(async () =>
        {
            await Task.Delay(HangTime);
            Signals.Continue(pid);
        });
        var answer = await answering.WaitAsync(Patience.Hang);
        await waking;
        Assert.Equal(expected, answer.Tokens);
        await Cluster.WhenAllReturnedAsync(workers: 3);
    }

    private static TimeSpan HangTime { get; } = TimeSpan.FromSeconds(
        Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1" ? 20 : 3);

    /// <summary>
    /// A stream that runs, and its migration held in the phase. A migration that was given up before it came there (it
    /// is one on a busy machine) is begun again; so is a stream that ended before.
    /// </summary>
    private async Task<(Task<StreamedAnswer> Answering, string Source, string Target)> BeginAsync(
        TokenRequest request, string phase)
    {
        Cluster.Hold(phase, "decode");
        var why = "";
        for (var attempt = 0; attempt < 10; attempt++)
        {
            var stream = await request.OpenAsync(Cluster);
            var answering = ReadAsync(stream);
            var (source, target) = ("decode-0", "decode-1");
            while (!answering.IsCompleted)
            {
                var refusal = await Flooder.TryMoveAsync(Cluster, stream.RequestId, target);
                why = refusal ?? "";
                if (why.Contains("runs on", StringComparison.Ordinal)) (source, target) = (target, source);
                await Task.Delay(5);
                if (!Cluster.IsHoldWaiting) return (answering, source, target);
            }

            Output.WriteLine($"ended before it moved: {why}");
            await Task.Delay(TimeSpan.FromMilliseconds(500));
        }

        throw new InvalidOperationException($"It does not move: {why}");
    }

    private async Task EndAsync(Task<StreamedAnswer> answering, int[] expected)
    {
        var clock = Stopwatch.StartNew();
        var answer = await answering.WaitAsync(Patience.Hang);
        Output.WriteLine($"went on to its end {clock.Elapsed.TotalSeconds:0.00} s after the fault");
        Assert.Null(answer.ErrorCode);
        Assert.Equal("length", answer.FinishReason);
        Assert.Equal(expected, answer.Tokens);
        var state = await Cluster.WhenAllReturnedAsync(workers: 3);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    private async Task<(TokenRequest Request, int[] Expected)> DrawAsync(int seed)
    {
        var request = new TokenRequest(new Prompts(900 + seed).OfLength(300), 600, 0.8, seed, IgnoreEos: true);
        var expected = Offline.TokensAsync(request);
        await Cluster.WhenAllReturnedAsync(workers: 3);
        return (request, (await expected)[0]);
    }

    private static async Task<StreamedAnswer> ReadAsync(TokenStream stream)
    {
        using (stream) return await stream.ReadAsync();
    }
}
