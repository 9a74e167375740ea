using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Links;
using Krewe.Silo.Streams;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Harness;

/// <summary>A real silo on free ports with mock workers, and a client of it.</summary>
internal sealed class SiloHarness : IAsyncDisposable
{
    public const string Answer = "one two three four five six seven";

    private const string Numerics = "mock/v1";
    private readonly ConcurrentDictionary<string, MockWorker> _workers = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<MockWorker> _all = [];
    private ulong _incarnations;

    private SiloHarness(RunningSilo silo)
    {
        Silo = silo;
        Client = new HttpClient { BaseAddress = silo.HttpUrl, Timeout = Eventually.Limit };
    }

    public RunningSilo Silo { get; }

    public HttpClient Client { get; }

    /// <summary>What workers answer: whole tokens of a stream, by its start.</summary>
    public Func<Wire.StartSequence, int[]> Script { get; set; } = start => Limited(start, TestModel.Encode(Answer));

    public StreamCounters Counters => Silo.Services.GetRequiredService<StreamCounters>();

    public RequestStreams Streams => Silo.Services.GetRequiredService<RequestStreams>();

    public ClusterView View => Silo.Services.GetRequiredService<ClusterView>();

    public Door Door => Silo.Services.GetRequiredService<Door>();

    public IGrainFactory Grains => Silo.Services.GetRequiredService<IGrainFactory>();

    /// <summary>A silo without workers.</summary>
    public static async Task<SiloHarness> StartAsync(
        Func<SiloOptions, SiloOptions>? change = null, TimeProvider? time = null)
    {
        var options = DefaultOptions();
        return new SiloHarness(await SiloHost.StartAsync(change?.Invoke(options) ?? options, time: time));
    }

    /// <summary>A silo with one prefill and one decode worker.</summary>
    public static async Task<SiloHarness> StartPairAsync(
        Func<SiloOptions, SiloOptions>? change = null, TimeProvider? time = null)
    {
        var harness = await StartAsync(change, time);
        await harness.AddAsync("prefill-0", Wire.WorkerRole.Prefill);
        await harness.AddAsync("decode-0", Wire.WorkerRole.Decode);
        return harness;
    }

    /// <summary>Limits that only a hang reaches; a test that is about one sets it.</summary>
    public static SiloOptions DefaultOptions() => new()
    {
        HttpPort = 0,
        LinkPort = 0,
        ModelDirectory = TestModel.Directory,
        DrainGrace = Eventually.Limit,
        ResumeWindow = Eventually.Limit,
        ReaderPatience = Eventually.Limit,
        Cluster = new ClusterOptions
        {
            HeartbeatInterval = TimeSpan.FromMilliseconds(50),
            LinkSilenceLimit = TimeSpan.FromSeconds(15),
            HandoffLease = Eventually.Limit,
            WorkerWaitLimit = Eventually.Limit,
        },
    };

    public async Task<MockWorker> AddAsync(string id, Wire.WorkerRole role, Action<Wire.Hello>? change = null)
    {
        var worker = Create(id, role, change);
        _workers[id] = worker;
        var reply = await worker.ConnectAsync();
        Assert.True(reply.Accepted, reply.Message);
        // The reply is sent before the worker is in the view.
        await Eventually.UntilAsync(
            () => View.Find(id) is { Load: not null } link && link.Worker.Incarnation == worker.Hello.Incarnation,
            $"{id} is attached");
        return worker;
    }

    /// <summary>A worker that fits this silo and is not connected yet.</summary>
    public MockWorker Create(string id, Wire.WorkerRole role, Action<Wire.Hello>? change = null)
    {
        var config = TestModel.Folder.Config;
        var hello = new Wire.Hello
        {
            Protocol = Wire.ProtocolVersion.Oldest,
            WorkerId = id,
            Incarnation = ++_incarnations,
            LinkEpoch = 1,
            Role = role,
            ModelName = TestModel.Name,
            ModelFingerprint = TestModel.Folder.Fingerprint,
            Numerics = Numerics,
            Kv = new Wire.KvGeometry
            {
                Layers = (uint)config.Layers,
                KvHeads = (uint)config.KvHeads,
                HeadDim = (uint)config.HeadDim,
                BlockTokens = 16,
                Format = "BF16",
            },
            TotalBlocks = 1024,
            MaxContextTokens = (uint)config.MaxPositions,
            DataHost = "127.0.0.1",
            DataPort = 1,
            Pid = 4711,
        };
        change?.Invoke(hello);
        var worker = new MockWorker(this, hello);
        _all.Enqueue(worker);
        return worker;
    }

    /// <summary>The worker that others pull from: this process of it and no other.</summary>
    public MockWorker Find(Wire.DataAddress source) => _all.Single(
        worker => worker.Hello.WorkerId == source.WorkerId && worker.Hello.Incarnation == source.Incarnation);

    public MockWorker Prefill => _workers["prefill-0"];

    public MockWorker Decode => _workers["decode-0"];

    public Task<HttpResponseMessage> PostAsync(string path, string json) =>
        Client.PostAsync(path, new StringContent(json, Encoding.UTF8, "application/json"));

    /// <summary>Posts with stream: true and gives the answer as soon as its headers are there.</summary>
    public Task<HttpResponseMessage> PostStreamAsync(
        string path, string json, CancellationToken cancellationToken = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(json, Encoding.UTF8, "application/json"),
        };
        return Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    public async Task<JsonElement> GetJsonAsync(string path) => await Json.OfAsync(await Client.GetAsync(path));

    /// <summary>All that a request can hold on this silo is given back.</summary>
    public Task UntilQuietAsync() => Eventually.UntilAsync(
        () => Streams.Count == 0 && View.Links.All(link => link.AttemptCount == 0)
            && _workers.Values.All(worker => worker.RunningCount == 0),
        "no stream is open and no attempt is left");

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Silo.DisposeAsync();
        foreach (var worker in _all) await worker.DisposeAsync();
    }

    /// <summary>The tokens cut to what the request allows, else ended by the stop token.</summary>
    public static int[] Limited(Wire.StartSequence start, int[] tokens) =>
        start.MaxOutputTokens <= tokens.Length
            ? tokens[..(int)start.MaxOutputTokens]
            : [.. tokens, TestModel.StopToken];
}
