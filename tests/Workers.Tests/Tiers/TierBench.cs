using Krewe.Abstractions.Wire;
using Krewe.KvStore;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.KvStore.Sharing;
using Microsoft.Extensions.Logging.Abstractions;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>An engine with tiers below it, turned by hand. A row takes a millisecond of the engine's time.</summary>
internal sealed class TierBench : IAsyncDisposable
{
    private const int PageBytes = 4096;

    private HeldDevice? _device;

    private TierBench(FakeRunner runner, KvTiers tiers, int budget, TimeSpan rowTime)
    {
        (Runner, Tiers) = (runner, tiers);
        runner.BeforeRun = batch => Time.Advance(rowTime * batch.RowCount);
        Engine = new Engine(runner, new EngineSettings
        {
            Role = WorkerRole.Mixed,
            ModelFingerprint = "model",
            StepBudgetTokens = budget,
            Tiers = tiers,
        }, pulls: null, hold: null, Time, NullLogger.Instance);
    }

    public ManualTime Time { get; } = new();

    public FakeRunner Runner { get; }

    public KvTiers Tiers { get; }

    public Engine Engine { get; }

    public RecordingOwner Owner { get; } = new();

    public static async Task<TierBench> WithHostAsync(int blocks, int hostBlocks, bool hostMemory = true)
    {
        var runner = new FakeRunner(blocks, hostMemory);
        var host = new HostTier(FakeRunner.Geometry, hostBlocks * FakeRunner.Geometry.BlockBytes, packed: true);
        var store = await TieredStore.CreateAsync(host, null);
        return new TierBench(runner, Wrap(store, runner, checkpoints: false), 512, TimeSpan.FromMilliseconds(1));
    }

    /// <summary>Host memory of few blocks over a shared directory, as a worker has it.</summary>
    public static async Task<TierBench> WithDiskAsync(
        string directory, int blocks, int diskBlocks = 256, int hostBlocks = 8, bool checkpoints = false,
        bool hostMemory = true, TimeSpan? rowTime = null)
    {
        var runner = new FakeRunner(blocks, hostMemory);
        var disk = await SharedDirectory.OpenAsync(
            Options(directory, diskBlocks), new BlockDeviceOptions(), TimeProvider.System);
        var store = await TieredStore.CreateAsync(
            new HostTier(FakeRunner.Geometry, hostBlocks * PageBytes), disk.Store, disk.Neighbours);
        return new TierBench(
            runner, Wrap(store, runner, checkpoints), 512, rowTime ?? TimeSpan.FromMilliseconds(1));
    }

    public static async Task<(TierBench Bench, HeldDevice Device)> WithHeldDiskAsync(string directory, int blocks)
    {
        var runner = new FakeRunner(blocks);
        Directory.CreateDirectory(directory);
        var device = new HeldDevice(await BlockDevice.OpenAsync(new BlockDeviceOptions(), [directory]));
        var disk = await SsdObjectStore.OpenAsync(Options(directory, 256), device, TimeProvider.System);
        var store = await TieredStore.CreateAsync(new HostTier(FakeRunner.Geometry, 2 * PageBytes), disk);
        var tiers = Wrap(store, runner, checkpoints: false);
        var bench = new TierBench(runner, tiers, 512, TimeSpan.FromMilliseconds(1)) { _device = device };
        return (bench, device);
    }

    public static SsdStoreOptions Options(string directory, int diskBlocks) => new()
    {
        Directories = [directory],
        Geometry = FakeRunner.Geometry,
        Numerics = new("fake", "managed", 1, "F32", Krewe.Abstractions.KvFormat.F32),
        Model = "model",
        CapacityBytes = PageBytes * (1 + (2 * diskBlocks)),
    };

    public void Post(StartSequence start) => Engine.Post(new EngineCommand.Start(Owner, start));

    /// <summary>Turns until the requests are over, and on until nothing is left to spill.</summary>
    public async Task FinishAsync(params string[] requests)
    {
        var released = Task.WhenAll(requests.Select(request => Owner.WhenReleasedAsync(request)));
        await TurnUntilAsync(() => released.IsCompleted);
        await released;
        await TurnUntilAsync(() => Tiers.Store.PendingWrites == 0 && !Engine.Turn());
    }

    public async Task TurnUntilAsync(Func<bool> done)
    {
        var limit = DateTime.UtcNow.AddMinutes(3);
        while (true)
        {
            while (Engine.Turn()) Engine.CheckIntegrity();
            if (done()) return;
            Assert.True(DateTime.UtcNow < limit, "the engine does not come to an end");
            await Task.Delay(1);
        }
    }

    /// <summary>Computes nothing more, but lets what was spilled reach the disk.</summary>
    public Task WaitForSpillsAsync() => Tiers.Store.FlushAsync().WaitAsync(TimeSpan.FromMinutes(2));

    /// <summary>Fills the pool with another prompt's blocks, so that what was there is evicted.</summary>
    public async Task EvictAllAsync(string name)
    {
        var tokens = Math.Min((Engine.Load.TotalBlocks * 16) - 17, FakeRunner.ContextMax - 10);
        Post(EngineBench.Start(name, EngineBench.Prompt(name.GetHashCode(StringComparison.Ordinal), tokens), 1));
        await FinishAsync(name);
    }

    public void AssertAllReturned()
    {
        Engine.Turn();
        Engine.CheckIntegrity();
        Assert.Equal(0, Engine.Load.PinnedBlocks);
        Assert.Empty(Tiers.Store.Host.CheckIntegrity());
        if (Tiers.Store.Disk is { } disk) Assert.Empty(disk.CheckIntegrity());
    }

    public async ValueTask DisposeAsync()
    {
        _device?.LetGo(); // a failed test must not hang here
        await Engine.DisposeAsync();
        await Tiers.DisposeAsync();
    }

    private static KvTiers Wrap(TieredStore store, FakeRunner runner, bool checkpoints) => new(
        store, runner.Kv, checkpoints, hostIsBuffer: false, TimeProvider.System, NullLogger.Instance);
}
