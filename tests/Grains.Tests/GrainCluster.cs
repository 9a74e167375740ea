using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.EmbeddedOrleans;
using Krewe.EmbeddedOrleans.Tests;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans;

namespace Krewe.Grains.Tests;

/// <summary>
/// The real grains on the embedded host, with a silo of fakes round them and time in the test's hand.
/// </summary>
internal sealed class GrainCluster : IAsyncDisposable
{
    /// <summary>Bounds every wait of a test, so that a hang is a failure with a name.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public static readonly ClusterOptions Options = new() { MaxAttempts = 2 };

    private readonly ServiceProvider _services;

    private GrainCluster(Action<IServiceCollection, GrainCluster> configure)
    {
        var services = new ServiceCollection();
        configure(services, this);
        _services = services.BuildServiceProvider();
    }

    public ManualTimeProvider Time { get; } = new();

    public FakeAttemptPort Port { get; } = new();

    public FakeClusterView View { get; } = new();

    public IEmbeddedGrainDirectory Directory => _services.GetRequiredService<IEmbeddedGrainDirectory>();

    /// <summary>Starts the host, with one prefill and one decode worker attached unless told otherwise.</summary>
    public static async Task<GrainCluster> StartAsync(
        GrainOptions? options = null,
        GrainStorage? storage = null,
        Action<IServiceCollection>? addServices = null,
        params WorkerDescriptor[] workers)
    {
        var cluster = new GrainCluster((services, self) =>
        {
            addServices?.Invoke(services);
            services.AddSingleton<TimeProvider>(self.Time);
            services.AddSingleton<IAttemptPort>(self.Port);
            services.AddSingleton<IMigrationPort>(self.Port);
            services.AddSingleton<IClusterView>(self.View);
            services.AddSingleton(Options);
            services.AddKreweGrains(options);
            services.AddEmbeddedOrleans(host =>
            {
                host.GrainAssemblies.Add(typeof(IAttemptPort).Assembly);
                host.Storage = storage ?? new GrainStorage.Memory();
                // Fake time runs far ahead of a call that is held up: only a test's own patience may end it.
                host.ResponseTimeout = TimeSpan.FromDays(1);
            });
        });
        foreach (var service in cluster._services.GetServices<IHostedService>())
            await service.StartAsync(CancellationToken.None);
        await cluster.AttachAsync(workers.Length > 0 ? workers : [Prefill(0), Decode(0)]);
        return cluster;
    }

    public static WorkerDescriptor Prefill(int number, ulong incarnation = 1) =>
        Worker($"prefill-{number}", WorkerRole.Prefill, incarnation);

    public static WorkerDescriptor Decode(int number, ulong incarnation = 1) =>
        Worker($"decode-{number}", WorkerRole.Decode, incarnation);

    public IRequestGrain Request(string id) => Grains.GetGrain<IRequestGrain>(id);

    public IPrefillWorkerGrain PrefillGrain(int number) => Grains.GetGrain<IPrefillWorkerGrain>($"prefill-{number}");

    public IDecodeWorkerGrain DecodeGrain(int number) => Grains.GetGrain<IDecodeWorkerGrain>($"decode-{number}");

    public IGrainFactory Grains => _services.GetRequiredService<IGrainFactory>();

    public async Task AttachAsync(params WorkerDescriptor[] workers)
    {
        foreach (var worker in workers)
        {
            if (worker.Role is WorkerRole.Prefill or WorkerRole.Mixed)
                await Grains.GetGrain<IPrefillWorkerGrain>(worker.Worker.WorkerId).AttachAsync(worker);
            if (worker.Role is WorkerRole.Decode or WorkerRole.Mixed)
                await Grains.GetGrain<IDecodeWorkerGrain>(worker.Worker.WorkerId).AttachAsync(worker);
        }

        var ids = workers.Select(worker => worker.Worker.WorkerId).ToHashSet();
        View.Set([
            .. View.Workers.Where(view => !ids.Contains(view.Descriptor.Worker.WorkerId)),
            .. workers.Select(FakeClusterView.ViewOf),
        ]);
    }

    /// <summary>What the silo does when a link breaks, but for the report to the requests.</summary>
    public async Task LoseAsync(WorkerDescriptor worker)
    {
        View.Set(View.Workers.RemoveAll(view => view.Descriptor.Worker == worker.Worker), tell: false);
        if (worker.Role == WorkerRole.Prefill)
            await Grains.GetGrain<IPrefillWorkerGrain>(worker.Worker.WorkerId).DetachAsync(worker.Worker, "killed");
        else
            await Grains.GetGrain<IDecodeWorkerGrain>(worker.Worker.WorkerId).DetachAsync(worker.Worker, "killed");
    }

    public RequestSpec Spec(string id) => new()
    {
        RequestId = id,
        Model = "tiny",
        PromptTokens = [.. Enumerable.Range(0, 40)],
        MaxOutputTokens = 20,
        Sampling = new SamplingSpec { Seed = 42 },
        ArrivedAt = Time.GetUtcNow(),
        Deadline = Time.GetUtcNow() + Options.RequestTimeout,
    };

    /// <summary>Starts a request; its first attempt has been dispatched.</summary>
    public async Task<RoutePlan> BeginAsync(string id)
    {
        var plan = await Request(id).StartAsync(Spec(id));
        Assert.Equal(plan, (await Port.NextAsync<Dispatched>()).Plan);
        return plan;
    }

    public Task ReportAsync(
        string id,
        RequestReportKind kind,
        RoutePlan plan,
        WorkerIncarnation? worker = null,
        ErrorCode? error = null,
        string? message = null) => Request(id).ReportAsync(new RequestReport
        {
            Kind = kind,
            Epoch = plan.Epoch,
            Worker = worker,
            Error = error,
            Message = message,
            FinishReason = kind == RequestReportKind.Finished ? "stop" : null,
            OutputTokens = kind == RequestReportKind.Finished ? 7 : 0,
            BlocksMoved = kind == RequestReportKind.HandoffCommitted ? 3 : 0,
            BytesMoved = kind == RequestReportKind.HandoffCommitted ? 3000 : 0,
        });

    public async Task<RequestRecord> RecordAsync(string id)
    {
        var record = await Request(id).GetRecordAsync();
        Assert.NotNull(record);
        return record;
    }

    public async Task<ImmutableArray<LeaseGrant>> LeasesAsync() =>
    [
        .. (await PrefillGrain(0).GetAsync()).Leases,
        .. (await DecodeGrain(0).GetAsync()).Leases,
    ];

    /// <summary>The number of live request grains.</summary>
    public int LiveRequests => Directory.ActivationCountByGrainType.GetValueOrDefault("request");

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services.GetServices<IHostedService>())
            await service.StopAsync(CancellationToken.None).WaitAsync(Patience);
        await _services.DisposeAsync();
    }

    private static WorkerDescriptor Worker(string id, WorkerRole role, ulong incarnation) => new()
    {
        Worker = new WorkerIncarnation(id, incarnation),
        Role = role,
        ModelName = "tiny",
        ModelFingerprint = "f",
        Numerics = "n",
        DataHost = "127.0.0.1",
        DataPort = 1,
        TotalBlocks = 100,
        BlockTokens = 16,
        MaxContextTokens = 1024,
        ProcessId = 1,
    };
}
