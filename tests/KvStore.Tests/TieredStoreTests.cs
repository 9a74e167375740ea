using Krewe.Abstractions;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests;

public sealed class TieredStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly FaultyBlockDevice _device = new(new MemoryDevice(new()));

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_block_evicted_from_host_memory_is_still_on_disk()
    {
        await using var tiers = await CreateAsync(hostBlocks: 2);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(PutOutcome.Stored, Spill(tiers, i));
            await tiers.FlushAsync();
        }

        Assert.Equal(KvTier.Disk, tiers.Find(Blocks.Key(0)));
        Assert.Equal(KvTier.Host, tiers.Find(Blocks.Key(2)));
        Assert.Null(tiers.Find(Blocks.Key(9)));
        Assert.Null(tiers.TryOpen(Blocks.Key(9)));
        for (var i = 0; i < 3; i++) Assert.Equal(Blocks.Payload(Blocks.Key(i), Blocks.Odd), await ReadAsync(tiers, i));
        Assert.Empty(tiers.Host.CheckIntegrity());
    }

    [Fact]
    public async Task A_clean_copy_is_never_written_twice()
    {
        await using var tiers = await CreateAsync(hostBlocks: 1);
        Spill(tiers, 0);
        await tiers.FlushAsync();
        Spill(tiers, 1); // evicts 0 from host memory
        await tiers.FlushAsync();
        var written = tiers.Disk!.Statistics.BytesWritten;

        Assert.True(tiers.IsSafe(Blocks.Key(0)));
        Spill(tiers, 0); // back into host memory
        await tiers.FlushAsync();

        Assert.Equal(KvTier.Host, tiers.Find(Blocks.Key(0)));
        Assert.Equal(written, tiers.Disk.Statistics.BytesWritten);
    }

    [Fact]
    public async Task While_the_disk_stands_still_spilling_goes_on_in_host_memory()
    {
        await using var tiers = await CreateAsync(hostBlocks: 4);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _device.Before = async io =>
        {
            if (io.IsWrite) await release.Task;
        };

        for (var i = 0; i < 6; i++) Assert.Equal(PutOutcome.Stored, Spill(tiers, i));

        Assert.Equal(2, tiers.PendingWrites); // half of the slots, the oldest, are held for the disk
        Assert.Equal([KvTier.Host, KvTier.Host, null, null, KvTier.Host, KvTier.Host],
            Enumerable.Range(0, 6).Select(i => tiers.Find(Blocks.Key(i))));
        Assert.True(tiers.IsSafe(Blocks.Key(0)));
        Assert.False(tiers.IsSafe(Blocks.Key(5)));
        release.SetResult();
        await tiers.FlushAsync();
        Assert.Equal(2, tiers.Disk!.Statistics.Objects);
    }

    [Fact]
    public async Task A_full_disk_is_told_and_the_block_stays_in_host_memory()
    {
        await using var tiers = await CreateAsync(hostBlocks: 4);
        _device.Before = io => io.IsWrite
            ? throw new BlockIoException(BlockIoFault.DiskFull, "no space left")
            : ValueTask.CompletedTask;
        var told = new TaskCompletionSource<KvStoreException>();
        tiers.WriteFailed = error => told.TrySetResult(error);

        Spill(tiers, 0);
        await tiers.FlushAsync();

        Assert.Equal(KvStoreError.DiskFull, (await told.Task).Error);
        Assert.Equal(KvTier.Host, tiers.Find(Blocks.Key(0)));
        Assert.False(tiers.IsSafe(Blocks.Key(0)));
        Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), await ReadAsync(tiers, 0));
    }

    [Fact]
    public async Task Disposing_ends_the_queued_writes_first()
    {
        await using (var tiers = await CreateAsync(hostBlocks: 8, real: true))
        {
            for (var i = 0; i < 4; i++) Spill(tiers, i);
        }

        await using var store = await SsdObjectStore.OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd));
        for (var i = 0; i < 4; i++) Assert.Equal(ReadOutcome.Hit, await store.GetAsync(i));
    }

    [Fact]
    public async Task A_deleted_block_is_in_no_tier()
    {
        await using var tiers = await CreateAsync(hostBlocks: 2);
        Spill(tiers, 0);
        await tiers.FlushAsync();

        Assert.True(await tiers.DeleteAsync(Blocks.Key(0)));
        Assert.False(await tiers.DeleteAsync(Blocks.Key(0)));
        Assert.Null(tiers.Find(Blocks.Key(0)));
    }

    [Fact]
    public async Task Host_memory_serves_alone()
    {
        await using var tiers = await TieredStore.CreateAsync(new HostTier(Blocks.Odd, 8192), null);
        Assert.False(tiers.IsSafe(Blocks.Key(0)));
        Spill(tiers, 0);

        Assert.True(tiers.IsSafe(Blocks.Key(0)));
        Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), await ReadAsync(tiers, 0));
    }

    [Fact]
    public void Bandwidth_counts_busy_time_only_and_shares_it_between_loads_that_overlap()
    {
        var time = new ManualTime();
        var meter = new BandwidthMeter(7, time);
        Assert.Equal(7, meter.BytesPerSecond);
        meter.Begin();
        meter.Begin();
        time.Advance(TimeSpan.FromSeconds(0.5));
        meter.End(1 << 20);
        meter.End(1 << 20);
        time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(4 << 20, meter.BytesPerSecond);
    }

    private static PutOutcome Spill(TieredStore tiers, int number)
    {
        var payload = Blocks.Payload(Blocks.Key(number), Blocks.Odd);
        return tiers.Spill(Blocks.Key(number), payload, (place, bytes) => bytes.CopyTo(place));
    }

    private static async Task<byte[]> ReadAsync(TieredStore tiers, int number)
    {
        using var source = tiers.TryOpen(Blocks.Key(number))!;
        var bytes = new byte[Blocks.Odd.BlockBytes];
        Assert.True((await source.ReadAsync(0, Blocks.Odd.Layers, bytes)).IsHit);
        return bytes;
    }

    private async Task<TieredStore> CreateAsync(int hostBlocks, bool real = false)
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd);
        var disk = real
            ? await SsdObjectStore.OpenAsync(options)
            : await SsdObjectStore.OpenAsync(options, _device, TimeProvider.System);
        return await TieredStore.CreateAsync(new HostTier(Blocks.Odd, hostBlocks * 8192), disk);
    }
}
