using System.Text.Json;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>With a second decode worker a stream does not wait for the first to come back.</summary>
public sealed class SpareWorkerTests(SpareDecodeCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<SpareDecodeCluster>
{
    private const int Seed = 4711;
    [Fact]
    public async Task A_stream_goes_on_elsewhere_while_its_worker_hangs()
    {
        Output.WriteLine($"seed {Seed}");
        var request = new TokenRequest(new Prompts(Seed).OfLength(300), 60, 0.8, Seed, IgnoreEos: true);
        var expected = (await Offline.TokensAsync(request))[0];

        Cluster.Hold("decoding", "decode");
        using var stream = await request.OpenAsync(Cluster);
        var answering = stream.ReadAsync();
        await Cluster.WhenHeldAsync();
        var hung = (await Cluster.StateAsync()).Worker(await DecodeWorkerAsync(stream.RequestId));
        Signals.Stop(hung.Pid);
        StreamedAnswer answer;
        try
        {
            answer = await answering.WaitAsync(Patience.Hang);
            Assert.NotEqual(hung.Id, await DecodeWorkerAsync(stream.RequestId));
        }
        finally
        {
            // The hold outlives the stop: only a new process is free of it.
            Signals.Kill(hung.Pid);
        }

        Assert.Null(answer.ErrorCode);
        Assert.Equal(expected, answer.Tokens);
        var state = await Cluster.WhenAllReturnedAsync(workers: 3);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    private async Task<string> DecodeWorkerAsync(string requestId)
    {
        using var life = JsonDocument.Parse(await Cluster.Http.GetStringAsync($"/v1/requests/{requestId}"));
        return life.RootElement.GetProperty("plan").GetProperty("decode_worker").GetString()!.Split('#')[0];
    }
}
