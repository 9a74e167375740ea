using Krewe.Abstractions;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests;

public sealed class TieredStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_block_evicted_from_host_memory_comes_back_from_disk_and_up_again()
    {
        await using var tiers = await CreateAsync(hostBlocks: 2);
        for (var i = 0; i < 3; i++) await SpillAsync(tiers, i);
        Assert.Equal(KvTier.Disk, tiers.Find(Blocks.Key(0)));
        var bytes = new byte[Blocks.Odd.BlockBytes];

        Assert.Equal(KvTier.Disk, (await tiers.GetAsync(Blocks.Key(0), bytes)).Tier);
        Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), bytes);

        Assert.Equal(KvTier.Host, (await tiers.GetAsync(Blocks.Key(0), bytes)).Tier);
        Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), bytes);
        Assert.Null((await tiers.GetAsync(Blocks.Key(9), bytes)).Tier);
    }

    [Fact]
    public async Task A_deleted_block_is_in_no_tier()
    {
        await using var tiers = await CreateAsync(hostBlocks: 2);
        await SpillAsync(tiers, 0);

        Assert.True(await tiers.DeleteAsync(Blocks.Key(0)));
        Assert.False(await tiers.DeleteAsync(Blocks.Key(0)));
        Assert.Null(tiers.Find(Blocks.Key(0)));
        Assert.Null(tiers.Estimate(Blocks.Key(0)));
    }

    [Fact]
    public async Task An_estimate_names_the_fastest_tier_and_its_bytes()
    {
        await using var tiers = await CreateAsync(hostBlocks: 1);
        await SpillAsync(tiers, 0);
        await SpillAsync(tiers, 1);

        var host = tiers.Estimate(Blocks.Key(1))!.Value;
        var disk = tiers.Estimate(Blocks.Key(0))!.Value;

        Assert.Equal((KvTier.Host, (long)Blocks.Odd.BlockBytes), (host.Tier, host.Bytes));
        Assert.Equal((KvTier.Disk, (long)Blocks.Odd.BlockBytes), (disk.Tier, disk.Bytes));
        Assert.True(host.Duration < disk.Duration);
        Assert.False(disk.Measured);
    }

    [Fact]
    public async Task Either_tier_serves_alone_but_not_neither()
    {
        await using var hostOnly =
            await TieredStore.CreateAsync(new HostTier(Blocks.Odd, 8192), null, TimeProvider.System);
        await SpillAsync(hostOnly, 0);
        Assert.True((await hostOnly.GetAsync(Blocks.Key(0), new byte[Blocks.Odd.BlockBytes])).Result.IsHit);
        Assert.Equal(
            ReadOutcome.Miss, (await hostOnly.GetAsync(Blocks.Key(1), new byte[Blocks.Odd.BlockBytes])).Result.Outcome);

        await Assert.ThrowsAsync<ArgumentException>(
            () => TieredStore.CreateAsync(null, null, TimeProvider.System).AsTask());
    }

    [Fact]
    public void Bandwidth_counts_busy_time_only_and_shares_it_between_loads_that_overlap()
    {
        var time = new ManualTime();
        var meter = new BandwidthMeter(1, time);
        Assert.Equal((TimeSpan.FromSeconds(8), false), meter.Estimate(8));
        meter.Begin();
        meter.Begin();
        time.Advance(TimeSpan.FromSeconds(0.5));
        meter.End(1 << 20);
        meter.End(1 << 20);
        time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(4 << 20, meter.Measured);
        Assert.Equal((TimeSpan.FromSeconds(2), true), meter.Estimate(8 << 20));
    }

    private static async Task SpillAsync(TieredStore tiers, int number)
    {
        var key = Blocks.Key(number);
        Assert.True((await tiers.SpillAsync(key, Blocks.Payload(key, Blocks.Odd))).IsPresent);
    }

    private async Task<TieredStore> CreateAsync(int hostBlocks)
    {
        var disk = await SsdObjectStore.OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd));
        return await TieredStore.CreateAsync(new HostTier(Blocks.Odd, hostBlocks * 8192), disk, TimeProvider.System);
    }
}
