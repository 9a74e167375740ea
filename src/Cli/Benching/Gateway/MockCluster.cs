using System.Diagnostics;
using System.Text.RegularExpressions;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>A silo and a worker that computes nothing (<see cref="MockEngine"/>), each a process of its own.</summary>
internal sealed partial class MockCluster : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);

    private readonly Process _silo;
    private readonly Process _worker;

    private MockCluster(Process silo, Process worker, HttpClient http)
    {
        (_silo, _worker, Http) = (silo, worker, http);
    }

    public HttpClient Http { get; }

    /// <summary>Resident memory of the silo.</summary>
    public double SiloMiB
    {
        get
        {
            using var looked = Process.GetProcessById(_silo.Id);
            return looked.WorkingSet64 / (double)(1 << 20);
        }
    }

    /// <summary>Throws <see cref="TimeoutException"/> when it does not come up.</summary>
    /// <param name="siloArguments">Beside ports and model.</param>
    public static async Task<MockCluster> StartAsync(
        ModelFolder model, IEnumerable<string> siloArguments, Terminal terminal, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var described = new TaskCompletionSource<Match>(TaskCreationOptions.RunContinuationsAsynchronously);
        var silo = Start(
            OwnProgram.Bound(
                ["silo", "--port", "0", "--link-port", "0", "--model", model.Directory, .. siloArguments]),
            line =>
            {
                if (Described().Match(line) is { Success: true } said) described.TrySetResult(said);
            });
        Process? worker = null;
        HttpClient? http = null;
        try
        {
            var said = await described.Task.WaitAsync(StartLimit, time, cancellationToken);
            worker = Start(
                OwnProgram.Bound(
                    ["bench", "gateway-worker", "--model", model.Directory, "--silo", said.Groups[2].Value]),
                terminal.Say);
            http = new HttpClient
            {
                BaseAddress = new Uri(said.Groups[1].Value),
                Timeout = Timeout.InfiniteTimeSpan,
            };
            await ReadyAsync(http, time, cancellationToken);
            return new MockCluster(silo, worker, http);
        }
        catch
        {
            http?.Dispose();
            await EndAsync(worker);
            await EndAsync(silo);
            throw;
        }
    }

    /// <summary>Waits until it answers <c>GET /ready</c> with success. Throws <see cref="TimeoutException"/>.</summary>
    public static async Task ReadyAsync(HttpClient http, TimeProvider time, CancellationToken cancellationToken)
    {
        for (var start = time.GetTimestamp(); time.GetElapsedTime(start) < StartLimit;)
        {
            try
            {
                using var answer = await http.GetAsync("ready", cancellationToken);
                if (answer.IsSuccessStatusCode) return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }

        throw new TimeoutException($"{http.BaseAddress} did not become ready.");
    }

    /// <param name="said">Gets its lines.</param>
    public static Process Start(ProcessStartInfo start, Action<string> said)
    {
        var process = Process.Start(start)!;
        process.ErrorDataReceived += (_, line) => Take(line.Data);
        process.OutputDataReceived += (_, line) => Take(line.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        return process;

        void Take(string? line)
        {
            if (!string.IsNullOrEmpty(line)) said(line);
        }
    }

    /// <summary>Kills it and its children.</summary>
    public static async Task EndAsync(Process? process)
    {
        if (process is null) return;
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await EndAsync(_worker);
        await EndAsync(_silo);
    }

    [GeneratedRegex(@"gateway (http://[\d.:]+/)v1, links ([\d.:]+\d)")]
    private static partial Regex Described();
}
