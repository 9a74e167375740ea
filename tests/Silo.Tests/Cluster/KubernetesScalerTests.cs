using System.Net;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Silo.Cluster;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.Logging.Abstractions;

namespace Krewe.Silo.Tests.Cluster;

/// <summary>The scaler against an API server that the test plays, over a real socket.</summary>
public sealed class KubernetesScalerTests
{
    [Fact]
    public async Task Advice_becomes_replicas_within_their_bounds()
    {
        await using var api = new PlayedApi { Replicas = 2 };
        using var scaler = api.Scaler();

        await scaler.ScaleAsync(new ScalePhase(PoolPhase.Decode, 2, 3, "late"));
        Assert.Equal(3, api.Replicas);
        await scaler.ScaleAsync(new ScalePhase(PoolPhase.Decode, 3, 9, "late"));
        Assert.Equal(4, api.Replicas);
        await scaler.ScaleAsync(new ScalePhase(PoolPhase.Decode, 4, 0, "idle"));
        Assert.Equal(1, api.Replicas);

        Assert.All(api.Asked, line => Assert.Equal("Bearer secret", line.Authorization));
        Assert.All(api.Asked, line => Assert.Equal(
            "/apis/apps/v1/namespaces/llm/statefulsets/krewe-decode/scale", line.Path));
        Assert.Equal("application/merge-patch+json", api.Asked.First(line => line.Method == "PATCH").ContentType);
        Assert.Contains("set krewe-decode from 2 to 3 replicas: late", api.Decisions.After(0)[0].What,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pods_that_still_start_are_counted()
    {
        await using var api = new PlayedApi { Replicas = 4 };
        using var scaler = api.Scaler();

        // Two of four are linked; one more than those is less than what is on its way.
        await scaler.ScaleAsync(new ScalePhase(PoolPhase.Decode, 2, 3, "late"));

        Assert.Equal(4, api.Replicas);
        Assert.DoesNotContain(api.Asked, line => line.Method == "PATCH");
    }

    [Fact]
    public async Task One_silo_of_a_cluster_scales()
    {
        await using var api = new PlayedApi { Replicas = 1 };
        using var second = api.Scaler("silo-1", "silo-0", "silo-1");
        await second.ScaleAsync(new ScalePhase(PoolPhase.Decode, 1, 2, "late"));
        Assert.Empty(api.Asked);

        using var first = api.Scaler("silo-0", "silo-0", "silo-1");
        await first.ScaleAsync(new ScalePhase(PoolPhase.Decode, 1, 2, "late"));
        Assert.Equal(2, api.Replicas);
    }

    [Fact]
    public async Task A_refusal_is_told_in_Kubernetes_words_and_ends_nothing()
    {
        await using var api = new PlayedApi { Refusal = "statefulsets.apps is forbidden" };
        using var scaler = api.Scaler();

        await scaler.ScaleAsync(new ScalePhase(PoolPhase.Decode, 1, 2, "late"));

        Assert.Contains("403: statefulsets.apps is forbidden", api.Decisions.After(0).Single().What,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_phase_without_a_target_is_left_alone()
    {
        await using var api = new PlayedApi();
        using var scaler = api.Scaler();
        await scaler.ScaleAsync(new ScalePhase(PoolPhase.Prefill, 1, 2, "late"));
        Assert.Empty(api.Asked);
    }

    private sealed record Roster(string[] Names) : ISiloRoster
    {
        public System.Collections.Immutable.ImmutableArray<SiloPeer> Silos =>
            [.. Names.Select(name => new SiloPeer(name, null, null))];

        public Task WhenChangedAsync(CancellationToken cancellationToken) =>
            Task.Delay(Timeout.Infinite, cancellationToken);
    }

    private sealed class PlayedApi : IAsyncDisposable
    {
        private readonly HttpListener _listener;
        private readonly DirectoryInfo _account = Directory.CreateTempSubdirectory("krewe-account-");
        private readonly Task _serving;
        private readonly int _port;

        public PlayedApi()
        {
            (_listener, _port) = Listen();
            File.WriteAllText(Path.Combine(_account.FullName, "token"), "secret\n");
            File.WriteAllText(Path.Combine(_account.FullName, "namespace"), "llm");
            _serving = ServeAsync();
        }

        public int Replicas { get; set; } = 1;

        public string? Refusal { get; set; }

        public List<(string Method, string Path, string? Authorization, string? ContentType)> Asked { get; } = [];

        public DecisionLog Decisions { get; } = new();

        public KubernetesScaler Scaler(string silo = "silo-0", params string[] silos) => new(
            SiloHarness.DefaultOptions() with
            {
                SiloId = silo,
                Scale = new ScaleOptions
                {
                    Decode = ScaleTarget.Parse("krewe-decode:1:4"),
                    Api = new Uri($"http://127.0.0.1:{_port}"),
                    AccountFolder = _account.FullName,
                },
            },
            new Roster(silos), Decisions, TimeProvider.System, NullLogger<KubernetesScaler>.Instance)
        {
            CallLimit = Eventually.Limit,
        };

        public async ValueTask DisposeAsync()
        {
            _listener.Close();
            await _serving;
            _account.Delete(recursive: true);
        }

        /// <summary>A listener of this kind takes no port 0.</summary>
        private static (HttpListener Listener, int Port) Listen()
        {
            while (true)
            {
                var listener = new HttpListener();
                var port = Random.Shared.Next(10_000, 32_000);
                listener.Prefixes.Add($"http://127.0.0.1:{port}/");
                try
                {
                    listener.Start();
                    return (listener, port);
                }
                catch (HttpListenerException)
                {
                    // Somebody else's port.
                    ((IDisposable)listener).Dispose();
                }
            }
        }

        private async Task ServeAsync()
        {
            while (true)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }

                var request = context.Request;
                Asked.Add((request.HttpMethod, request.Url!.AbsolutePath, request.Headers["Authorization"],
                    request.ContentType));
                using var reader = new StreamReader(request.InputStream);
                var body = await reader.ReadToEndAsync();
                if (request.HttpMethod == "PATCH" && Refusal is null)
                {
                    using var patch = JsonDocument.Parse(body);
                    Replicas = patch.RootElement.GetProperty("spec").GetProperty("replicas").GetInt32();
                }

                context.Response.StatusCode = Refusal is null ? 200 : 403;
                context.Response.Close(
                    Encoding.UTF8.GetBytes(Refusal is null
                        ? $$$"""{"kind":"Scale","spec":{"replicas":{{{Replicas}}}}}"""
                        : $$"""{"kind":"Status","message":"{{Refusal}}"}"""),
                    willBlock: false);
            }
        }
    }
}
