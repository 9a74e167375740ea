using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.EmbeddedOrleans.Tests;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains.Tests;

/// <summary>
/// The real grains on the host of this build, with a silo of fakes round them and time in the test's hand.
/// </summary>
internal sealed class GrainCluster : IAsyncDisposable
{
    /// <summary>Bounds every wait of a test, so that a hang is a failure with a name.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public static readonly ClusterOptions Options = new() { MaxAttempts = 2 };

    /// <summary>The silo that the tests play.</summary>
    public const string SiloId = "silo-0";

    private ITestHost? _host;

    public ManualTimeProvider Time { get; } = new();

    public FakeAttemptPort Port { get; } = new();

    public FakeClusterView View { get; } = new();

    private ITestHost Host => _host ?? throw new InvalidOperationException("The host has not started.");

    /// <summary>
    /// Starts the host, with one prefill and one decode worker attached unless told otherwise. Records lie in
    /// <paramref name="folder"/>, or in memory.
    /// </summary>
    public static async Task<GrainCluster> StartAsync(
        GrainOptions? options = null,
        string? folder = null,
        Action<IServiceCollection>? addServices = null,
        params WorkerDescriptor[] workers)
    {
        var cluster = new GrainCluster();
        cluster._host = await TestHost.StartAsync(
            services =>
            {
                addServices?.Invoke(services);
                services.AddSingleton<TimeProvider>(cluster.Time);
                services.AddSingleton<IAttemptPort>(cluster.Port);
                services.AddSingleton<IMigrationPort>(cluster.Port);
                services.AddSingleton<IClusterView>(cluster.View);
                services.AddSingleton(Options);
                services.AddKreweGrains(options);
            },
            folder);
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

    public IGrainFactory Grains => Host.Grains;

    public async Task AttachAsync(params WorkerDescriptor[] workers)
    {
        foreach (var worker in workers)
        {
            if (worker.Role is WorkerRole.Prefill or WorkerRole.Mixed)
                await Grains.GetGrain<IPrefillWorkerGrain>(worker.Worker.WorkerId).AttachAsync(worker, SiloId);
            if (worker.Role is WorkerRole.Decode or WorkerRole.Mixed)
                await Grains.GetGrain<IDecodeWorkerGrain>(worker.Worker.WorkerId).AttachAsync(worker, SiloId);
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
            await Grains.GetGrain<IPrefillWorkerGrain>(worker.Worker.WorkerId).DetachAsync(
                worker.Worker, SiloId, "killed");
        else
            await Grains.GetGrain<IDecodeWorkerGrain>(worker.Worker.WorkerId).DetachAsync(
                worker.Worker, SiloId, "killed");
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

    /// <summary>The number of live grains.</summary>
    public async Task<int> CountGrainsAsync() => (await Host.CountActivationsAsync()).Values.Sum();

    /// <summary>The number of live request grains.</summary>
    public async Task<int> CountRequestsAsync() =>
        (await Host.CountActivationsAsync()).GetValueOrDefault("request");

    /// <summary>
    /// Moves time on and waits until the periodic timers that fired are set anew: Orleans sets one when its tick's turn
    /// has ended, and time must not outrun that.
    /// </summary>
    public async Task AdvanceAsync(TimeSpan by)
    {
        var armed = Time.TimerCount;
        Time.Advance(by);
        for (var i = 0; Time.TimerCount < armed && i < 100; i++)
            await Task.Delay(TimeSpan.FromMilliseconds(2));
    }

    public Task WhenDeactivatedAsync(IAddressable grain) => Host.WhenDeactivatedAsync(grain).WaitAsync(Patience);

    public Task DeactivateIdleAsync(TimeSpan idle) => Host.DeactivateIdleAsync(idle).WaitAsync(Patience);

    public ValueTask DisposeAsync() => Host.DisposeAsync();

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
