using System.Diagnostics;
using System.Globalization;

namespace Krewe.Cli;

/// <summary>A <c>krewe serve</c> of its own for a benchmark.</summary>
internal sealed class BenchCluster : IAsyncDisposable
{
    private readonly Process _process;

    private BenchCluster(Process process, Uri address)
    {
        _process = process;
        Http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromMinutes(5) };
    }

    public HttpClient Http { get; }

    /// <summary>Throws <see cref="InvalidOperationException"/> when it does not come up.</summary>
    public static Task<BenchCluster> StartAsync(
        string model, int threads, bool blocking, int? linkMbit, Terminal terminal,
        CancellationToken cancellationToken) =>
        // Without a prefix cache a repeated prompt is computed, and its KV travels, each time.
        StartAsync(
            [
                "--model", model, "--prefill", "1", "--decode", "2",
                "--threads", threads.ToString(CultureInfo.InvariantCulture), "--no-prefix-cache", "--kv-memory", "1GiB",
                .. blocking ? (string[])["--blocking-migration"] : [],
                .. linkMbit is { } limit
                    ? (string[])
                    [
                        "--kv-transport", "tcp", "--data-link-mbit", limit.ToString(CultureInfo.InvariantCulture),
                    ]
                    : [],
            ],
            terminal, cancellationToken);

    /// <summary>One with these arguments of <c>serve</c>, on a free port.</summary>
    public static async Task<BenchCluster> StartAsync(
        IEnumerable<string> arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var process = Process.Start(OwnProgram.Bound(["serve", "--port", "0", .. arguments]))!;
        try
        {
            process.ErrorDataReceived += (_, line) => terminal.Say(line.Data ?? "");
            process.BeginErrorReadLine();
            while (await process.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
            {
                if (!line.StartsWith("Krewe is ready at ", StringComparison.Ordinal)) continue;
                var address = line["Krewe is ready at ".Length..].Split(' ')[0];
                return new BenchCluster(process, new Uri(address[..address.IndexOf("v1", StringComparison.Ordinal)]));
            }
        }
        catch
        {
            await MockCluster.EndAsync(process);
            throw;
        }

        await MockCluster.EndAsync(process);
        throw new InvalidOperationException("The benchmark's cluster did not come up; see its lines above.");
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await MockCluster.EndAsync(_process);
    }
}
