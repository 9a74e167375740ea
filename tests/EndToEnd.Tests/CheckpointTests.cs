using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Two workers that do both phases and share a folder for KV objects.</summary>
public sealed class CheckpointedCluster : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-e2e-kv-");
    private KreweCluster? _cluster;

    public KreweCluster Cluster => _cluster ?? throw new InvalidOperationException("The cluster was not started.");

    public async Task InitializeAsync() => _cluster = await KreweCluster.StartAsync(
    [
        // A worker that is only slow must not be given up: the attempts are counted.
        "--heartbeat", "0.1", "--silence-limit", "3", "--worker-wait", "120", "--mixed", "2",
        "--kv-disk", _folder.FullName, "--kv-disk-bytes", "64MiB", "--kv-checkpoint",
    ]);

    /// <summary>Waits until the workers have written so many KV objects, by what they tell each other.</summary>
    public async Task WhenWrittenAsync(ulong objects)
    {
        var clock = Stopwatch.StartNew();
        while (Written() < objects)
        {
            Assert.True(clock.Elapsed < Patience.Hang, $"{Written()} of {objects} KV objects were written.");
            await Task.Delay(TimeSpan.FromMilliseconds(20));
        }
    }

    /// <summary>KV objects that the workers wrote since they began: the third number of each journal.</summary>
    public ulong Written()
    {
        var sum = 0UL;
        var head = new byte[sizeof(ulong)];
        foreach (var path in _folder.EnumerateFiles("journal", SearchOption.AllDirectories))
        {
            using var journal = path.Open(FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            journal.Position = 16;
            journal.ReadExactly(head);
            sum += BitConverter.ToUInt64(head);
        }

        return sum;
    }

    public async Task DisposeAsync()
    {
        if (_cluster is not null) await _cluster.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}

/// <summary>A worker dies with everything that it had in memory; what it had spilled is there for the others.</summary>
public sealed partial class CheckpointTests(CheckpointedCluster fixture, ITestOutputHelper output)
    : IClassFixture<CheckpointedCluster>
{
    /// <summary>Full blocks of a prompt of 300 tokens.</summary>
    private const int PromptBlocks = 18;

    [Fact]
    public async Task After_kill_9_another_worker_restores_the_stream_and_goes_on_with_the_same_tokens()
    {
        var cluster = fixture.Cluster;
        var request = new TokenRequest(new Prompts(31).OfLength(300), 60, 0.8, 31, IgnoreEos: true);
        var expected = (await Offline.TokensAsync(request))[0];

        var atRest = fixture.Written();
        cluster.Hold("decoding", "mixed");
        using var stream = await request.OpenAsync(cluster);
        var answering = stream.ReadAsync();
        await cluster.WhenHeldAsync();
        // Blocks go to disk behind the steps; a worker that dies earlier takes them with it.
        await fixture.WhenWrittenAsync(atRest + PromptBlocks);
        using var before = await LifeAsync(stream.RequestId);
        var worker = before.RootElement.GetProperty("plan").GetProperty("decode_worker").GetString()!.Split('#')[0];
        Signals.Kill((await cluster.StateAsync()).Worker(worker).Pid);
        var answer = await answering.WaitAsync(Patience.Hang);

        Assert.Null(answer.ErrorCode);
        Assert.Equal(expected, answer.Tokens);
        using var life = await LifeAsync(stream.RequestId);
        output.WriteLine(life.RootElement.ToString());
        Assert.Equal(0, KnownTokens(life, epoch: 1)); // or nothing was lost with the worker
        Assert.InRange(KnownTokens(life, epoch: 2), PromptBlocks * 16, 359);
        await cluster.WhenAllReturnedAsync(workers: 2);
    }

    private async Task<JsonDocument> LifeAsync(string requestId) =>
        JsonDocument.Parse(await fixture.Cluster.Http.GetStringAsync($"/v1/requests/{requestId}"));

    /// <summary>Tokens whose KV the attempt's worker had or restored when its prefill began.</summary>
    private static int KnownTokens(JsonDocument life, int epoch)
    {
        var begun = life.RootElement.GetProperty("steps").EnumerateArray()
            .Where(step => step.GetProperty("epoch").GetInt32() == epoch)
            .Select(step => PrefillStarted().Match(step.GetProperty("what").GetString()!))
            .Single(match => match.Success);
        return int.Parse(begun.Groups[1].Value, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"prefill started; (\d+) tokens")]
    private static partial Regex PrefillStarted();
}
