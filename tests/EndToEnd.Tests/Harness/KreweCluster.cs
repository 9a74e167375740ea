using System.ClientModel;
using System.Diagnostics;
using System.Text.RegularExpressions;
using OpenAI;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>
/// A whole <c>krewe serve</c> on free ports with a data folder of its own: gateway, workers, and a way to break them.
/// Disposing ends every process that it started.
/// </summary>
public sealed partial class KreweCluster : IAsyncDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    private readonly DirectoryInfo _folder;

    private KreweCluster(DirectoryInfo folder, KreweProcess serve, string holdFile)
    {
        (_folder, Serve, HoldFile) = (folder, serve, holdFile);
        Http = new HttpClient { Timeout = Patience.Hang };
    }

    public KreweProcess Serve { get; }

    /// <summary>Gateway without a path, for instance http://127.0.0.1:40123.</summary>
    public Uri Address { get; private set; } = new("http://127.0.0.1");

    public HttpClient Http { get; }

    /// <summary>From the command to the first generation through all phases.</summary>
    public TimeSpan StartTime { get; private set; }

    /// <summary>See <c>WorkerOptions.TestHoldFile</c>.</summary>
    public string HoldFile { get; }

    public string Log => Serve.Log;

    public static async Task<KreweCluster> StartAsync(params IEnumerable<string> arguments)
    {
        var folder = Directory.CreateTempSubdirectory("krewe-e2e-");
        var holdFile = Path.Combine(folder.FullName, "hold");
        var clock = Stopwatch.StartNew();
        var serve = KreweProcess.Start(
        [
            "serve", "--port", "0", "--data", Path.Combine(folder.FullName, "data"), "--test-hold-file", holdFile,
            .. arguments,
        ]);
        var cluster = new KreweCluster(folder, serve, holdFile);
        try
        {
            var ready = await serve.WaitForLineAsync(
                line => line.StartsWith("Krewe is ready", StringComparison.Ordinal));
            cluster.StartTime = clock.Elapsed;
            cluster.Address = new Uri(BaseAddress().Match(ready).Value);
            cluster.Http.BaseAddress = cluster.Address;
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>The official SDK, which does not retry: an error is what the test wants to see.</summary>
    public OpenAIClient Sdk() => new(new ApiKeyCredential("any"), new OpenAIClientOptions
    {
        Endpoint = new Uri(Address, "/v1"),
        RetryPolicy = new System.ClientModel.Primitives.ClientRetryPolicy(maxRetries: 0),
    });

    public async Task<ClusterState> StateAsync() => ClusterState.Parse(await Http.GetStringAsync("/v1/cluster"));

    /// <summary>Asks again and again, since there is no event to await over HTTP; fails when it takes too
    /// long.</summary>
    public async Task<ClusterState> WhenAsync(Func<ClusterState, bool> wanted, string what)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var state = await StateAsync();
            if (wanted(state)) return state;
            Assert.True(
                clock.Elapsed < Patience.Hang,
                $"Not seen within {Patience.Hang.TotalSeconds} s: {what}. "
                + $"Held: {string.Join("; ", state.StillHeld())}. "
                + $"Workers: {string.Join(", ", state.Workers)}\n{LogTail()}");
            await Task.Delay(Poll);
        }
    }

    /// <summary>Waits until every block, lease, stream and attempt has come back and all workers are there.</summary>
    public Task<ClusterState> WhenAllReturnedAsync(int workers) => WhenAsync(
        state => state.Workers.Count == workers && !state.StillHeld().Any(), "everything returned");

    /// <summary>The next worker of the role that reaches the phase stays there.</summary>
    public void Hold(string phase, string role)
    {
        File.WriteAllText($"{HoldFile}.new", $"{phase} {role}");
        // A case that failed may have left one behind.
        File.Move($"{HoldFile}.new", HoldFile, overwrite: true);
    }

    /// <summary>No worker has come to the phase that was asked for.</summary>
    public bool IsHoldWaiting => File.Exists(HoldFile);

    /// <summary>Waits until a worker stays in the phase that was asked for.</summary>
    public async Task WhenHeldAsync()
    {
        var clock = Stopwatch.StartNew();
        while (IsHoldWaiting)
        {
            Assert.True(
                clock.Elapsed < Patience.Hang,
                $"No worker came to {File.ReadAllText(HoldFile)}.\n{LogTail()}");
            await Task.Delay(Poll);
        }
    }

    public string LogTail(int lines = 60) => string.Join('\n', Log.Split('\n').TakeLast(lines));

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Serve.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [GeneratedRegex(@"http://[\d.]+:\d+")]
    private static partial Regex BaseAddress();
}
