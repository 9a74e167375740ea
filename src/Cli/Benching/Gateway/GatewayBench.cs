using System.Diagnostics;
using System.Net.Http.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench gateway --json</c> prints. Times in ms.</summary>
/// <param name="Rate">Requests a second that were sent.</param>
/// <param name="FirstP50">From sending a request to its first token, of a worker that answers at once.</param>
/// <param name="EchoP50">The same load on a web server that answers at once, in turns: what load and server cost
/// without a gateway.</param>
/// <param name="AddedP50">The one less the other: what a client waits longer than without the gateway.</param>
/// <param name="Streams">At once, each a token in 100 ms.</param>
/// <param name="StreamGapP99">Mean gap of a stream's tokens, the 99th of a hundred streams.</param>
/// <param name="SiloMiB">Resident memory of the silo with all streams open.</param>
/// <param name="ProxyTokensPerSecond">NaN = no nginx was given.</param>
internal sealed record GatewayBenchReport(
    double Rate, double FirstP50, double FirstP95, double FirstP99, double EchoP50, double EchoP95, double EchoP99,
    double AddedP50, double AddedP95, int Streams, int StreamsWhole, double StreamGapP50, double StreamGapP99,
    double SiloMiB, double TokensPerSecond, double ProxyTokensPerSecond, double OfProxy);

/// <summary>The gateway alone: a real silo, a worker that computes nothing, a load; a process each.</summary>
internal sealed class GatewayBench(
    ModelFolder model, double rate, int streams, string? nginx, Terminal terminal, TimeProvider time)
{
    private const int FastStreams = 32;
    private const int FastTokens = 1500;
    private const int Rounds = 3;
    private const int StepMs = 10;

    private static readonly TimeSpan RateSpan = TimeSpan.FromSeconds(10);

    public async Task<GatewayBenchReport> RunAsync(CancellationToken cancellationToken)
    {
        await using var cluster = await MockCluster.StartAsync(model, [], terminal, time, cancellationToken);
        return await MeasureAsync(cluster, cancellationToken);
    }

    private async Task<GatewayBenchReport> MeasureAsync(MockCluster cluster, CancellationToken cancellationToken)
    {
        var http = cluster.Http;
        var load = new OpenLoop(http, time);
        var random = new Random(3);
        var (first, echoed) = await RatedAsync(http, cancellationToken);
        if (streams == 0) return OfLatency(first, echoed);

        var opening = load.RunAsync(
            [.. Enumerable.Range(0, streams).Select(i => new LoadRequest(
                TimeSpan.FromMilliseconds(i), [1, 100, random.Next(1000)], 100))],
            null, cancellationToken);
        await Task.Delay(TimeSpan.FromMilliseconds(streams + 2000), time, cancellationToken);
        var memory = cluster.SiloMiB;
        var open = await opening;
        var gaps = LoadFigures.Sorted(open.Select(outcome => outcome.TpotMs));

        var fast = await FastAsync(load, cancellationToken);
        var proxied = nginx is null ? double.NaN : await ProxyAsync(http, nginx, cancellationToken);
        return OfLatency(first, echoed) with
        {
            Streams = streams,
            StreamsWhole = open.Count(outcome => outcome.IsWhole),
            StreamGapP50 = LoadFigures.Percentile(gaps, 50),
            StreamGapP99 = LoadFigures.Percentile(gaps, 99),
            SiloMiB = memory,
            TokensPerSecond = fast,
            ProxyTokensPerSecond = proxied,
            OfProxy = fast / proxied,
        };
    }

    private static GatewayBenchReport OfLatency(double[] first, double[] echoed) => new(
        first.Length / (Rounds * RateSpan.TotalSeconds), LoadFigures.Percentile(first, 50),
        LoadFigures.Percentile(first, 95), LoadFigures.Percentile(first, 99), LoadFigures.Percentile(echoed, 50),
        LoadFigures.Percentile(echoed, 95), LoadFigures.Percentile(echoed, 99),
        LoadFigures.Percentile(first, 50) - LoadFigures.Percentile(echoed, 50),
        LoadFigures.Percentile(first, 95) - LoadFigures.Percentile(echoed, 95), Streams: 0, StreamsWhole: 0,
        StreamGapP50: double.NaN, StreamGapP99: double.NaN, SiloMiB: double.NaN, TokensPerSecond: double.NaN,
        ProxyTokensPerSecond: double.NaN, OfProxy: double.NaN);

    /// <summary>ms from sending to the first token at the rate, of the silo and of the bare server, sorted.</summary>
    private async Task<(double[] First, double[] Echoed)> RatedAsync(
        HttpClient http, CancellationToken cancellationToken)
    {
        var port = FreePort();
        var server = MockCluster.Start(OwnProgram.Bound(["bench", "gateway-echo", "--port", $"{port}"]), terminal.Say);
        try
        {
            using var bare = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/") };
            await MockCluster.ReadyAsync(bare, time, cancellationToken);
            var (first, echoed) = (new List<double>(), new List<double>());
            await MeasureAsync(http, RateSpan / 2);
            await MeasureAsync(bare, RateSpan / 2);
            for (var round = 0; round < Rounds; round++)
            {
                first.AddRange(await MeasureAsync(http, RateSpan));
                echoed.AddRange(await MeasureAsync(bare, RateSpan));
            }

            return ([.. first.Order()], [.. echoed.Order()]);
        }
        finally
        {
            await MockCluster.EndAsync(server);
        }

        async Task<double[]> MeasureAsync(HttpClient server, TimeSpan span)
        {
            var plan = LoadPlan.Poisson(rate, span, promptTokens: 2, outputTokens: 4, vocabularySize: 1000, seed: 1);
            // The first token at once, the others as a decode worker's steps bring them.
            foreach (var request in plan) request.Prompt[1] = StepMs;
            var outcomes = await new OpenLoop(server, time).RunAsync(plan, null, cancellationToken);
            if (outcomes.FirstOrDefault(outcome => !outcome.IsWhole) is { } failed)
                throw new InvalidOperationException($"{server.BaseAddress} failed under load: {failed.Error}");
            return LoadFigures.Sorted(outcomes.Select(
                outcome => (outcome.FirstTokenAt - outcome.SentAt)?.TotalMilliseconds));
        }
    }

    /// <summary>Tokens a second of many streams whose tokens come as fast as they can.</summary>
    private async Task<double> FastAsync(OpenLoop load, CancellationToken cancellationToken)
    {
        var requests = Enumerable.Range(0, FastStreams)
            .Select(_ => new LoadRequest(default, [1, 0], FastTokens)).ToList();
        await load.RunAsync(requests, null, cancellationToken);
        var start = time.GetTimestamp();
        var outcomes = await load.RunAsync(requests, null, cancellationToken);
        return outcomes.Sum(outcome => outcome.Tokens) / time.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>The same bytes through nginx.</summary>
    private async Task<double> ProxyAsync(HttpClient http, string program, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("krewe-nginx-");
        Process? source = null;
        Process? proxy = null;
        try
        {
            var (sourcePort, proxyPort) = (FreePort(), FreePort());
            var body = Path.Combine(folder.FullName, "body");
            using var answer = await http.PostAsJsonAsync(
                "v1/completions", new CompletionAsked([1, 0], FastTokens), ServingJson.Default.CompletionAsked,
                cancellationToken);
            await File.WriteAllBytesAsync(
                body, await answer.Content.ReadAsByteArrayAsync(cancellationToken), cancellationToken);
            var settings = Path.Combine(folder.FullName, "nginx.conf");
            await File.WriteAllTextAsync(settings, Nginx(folder.FullName, sourcePort, proxyPort), cancellationToken);
            source = MockCluster.Start(
                OwnProgram.Bound(["bench", "gateway-source", "--body", body, "--port", $"{sourcePort}"]), terminal.Say);
            proxy = MockCluster.Start(
                new ProcessStartInfo(program, ["-c", settings, "-p", folder.FullName])
                {
                    RedirectStandardError = true,
                    RedirectStandardOutput = true,
                },
                terminal.Say);
            using var through = new HttpClient
            {
                BaseAddress = new Uri($"http://127.0.0.1:{proxyPort}/"),
                Timeout = Timeout.InfiniteTimeSpan,
            };
            await MockCluster.ReadyAsync(through, time, cancellationToken);
            return await FastAsync(new OpenLoop(through, time), cancellationToken);
        }
        finally
        {
            await MockCluster.EndAsync(proxy);
            await MockCluster.EndAsync(source);
            folder.Delete(recursive: true);
        }
    }

    private static string Nginx(string folder, int source, int port) => $$"""
        daemon off; worker_processes 1; pid {{folder}}/pid; error_log {{folder}}/errors;
        events { worker_connections 8192; }
        http {
          access_log off; client_body_temp_path {{folder}}/a; proxy_temp_path {{folder}}/b;
          fastcgi_temp_path {{folder}}/c; uwsgi_temp_path {{folder}}/d; scgi_temp_path {{folder}}/e;
          server {
            listen 127.0.0.1:{{port}};
            location / { proxy_pass http://127.0.0.1:{{source}}; proxy_buffering off; }
          }
        }
        """;

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }
}
