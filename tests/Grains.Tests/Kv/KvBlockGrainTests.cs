using Krewe.Abstractions;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Grains.Tests.Kv;

public class KvBlockGrainTests
{
    private const string Hash = "00112233445566778899aabbccddeeff";

    private static readonly WorkerIncarnation A = new("a", 1);
    private static readonly WorkerIncarnation B = new("b", 1);

    private readonly RecordingPort _port = new();

    [Fact]
    public async Task Knows_its_copies_until_the_last_is_gone()
    {
        await using var cluster = await StartAsync();
        var grain = cluster.Grains.GetGrain<IKvBlockGrain>(Hash);
        Assert.Null(await grain.GetAsync());

        await grain.StoredAsync(new KvReplica(A, KvTier.Disk));
        await grain.StoredAsync(new KvReplica(B, KvTier.Device));
        var record = (await grain.GetAsync())!;
        Assert.Equal(Hash, record.Hash);
        Assert.Equal([new KvReplica(A, KvTier.Disk), new KvReplica(B, KvTier.Device)], record.Replicas.ToArray());
        Assert.Equal(cluster.Time.GetUtcNow(), record.LastUse);

        await grain.RemovedAsync(new KvReplica(A, KvTier.Disk));
        await grain.WorkerLostAsync(B);
        Assert.Null(await grain.GetAsync());
    }

    [Fact]
    public async Task A_pin_is_told_to_the_keepers_renewed_and_ends_with_its_lease()
    {
        await using var cluster = await StartAsync();
        var grain = cluster.Grains.GetGrain<IKvBlockGrain>(Hash);
        Assert.Null(await grain.PinAsync("me", TimeSpan.FromMinutes(1)));
        await grain.StoredAsync(new KvReplica(A, KvTier.Disk));

        var pin = await grain.PinAsync("me", TimeSpan.FromMinutes(1));

        Assert.Equal(cluster.Time.GetUtcNow() + TimeSpan.FromMinutes(1), pin!.ExpiresAt);
        Assert.Equal([(A, Hash, TimeSpan.FromMinutes(1))], _port.Told);
        await grain.StoredAsync(new KvReplica(B, KvTier.Host)); // a copy made under a pin is pinned too
        Assert.Equal((B, Hash, TimeSpan.FromMinutes(1)), _port.Told[^1]);

        cluster.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Empty((await grain.GetAsync())!.Pins);
    }

    [Fact]
    public async Task A_pin_that_is_given_back_is_let_go_at_once()
    {
        await using var cluster = await StartAsync();
        var grain = cluster.Grains.GetGrain<IKvBlockGrain>(Hash);
        await grain.StoredAsync(new KvReplica(A, KvTier.Host));
        await grain.PinAsync("me", TimeSpan.FromMinutes(1));
        await grain.PinAsync("you", TimeSpan.FromMinutes(1));

        await grain.UnpinAsync("me");
        Assert.DoesNotContain(_port.Told, told => told.Life == TimeSpan.Zero);
        await grain.UnpinAsync("you");
        Assert.Equal((A, Hash, TimeSpan.Zero), _port.Told[^1]);
    }

    private Task<GrainCluster> StartAsync() =>
        GrainCluster.StartAsync(addServices: services => services.AddSingleton<IKvPort>(_port));

    private sealed class RecordingPort : IKvPort
    {
        public List<(WorkerIncarnation Worker, string Hash, TimeSpan Life)> Told { get; } = [];

        public void Keep(WorkerIncarnation worker, string hash, TimeSpan life) => Told.Add((worker, hash, life));
    }
}
