using Krewe.Abstractions;

namespace Krewe.Grains.Tests.Workers;

public class WorkerGrainTests
{
    private static readonly SequenceKey Key = new("r", 0, 1);
    private static readonly TimeSpan Life = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task An_unknown_worker_is_lost_grants_nothing_and_stays_out_of_memory()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var before = await cluster.CountGrainsAsync();
        var grain = cluster.DecodeGrain(9);
        Assert.Null(await grain.LeaseAsync(Key, 1, 3, Life));
        var record = await grain.GetAsync();
        Assert.Equal((WorkerState.Lost, "decode-9"), (record.State, record.WorkerId));
        Assert.Null(record.Descriptor);
        await cluster.WhenDeactivatedAsync(grain);
        Assert.Equal(before, await cluster.CountGrainsAsync());
    }

    [Fact]
    public async Task A_lease_that_nobody_renews_expires_by_itself()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.DecodeGrain(0);
        var lease = await grain.LeaseAsync(Key, 1, 3, Life);
        Assert.Equal(cluster.Time.GetUtcNow() + Life, lease!.ExpiresAt);
        cluster.Time.Advance(Life - TimeSpan.FromSeconds(1));
        Assert.Single((await grain.GetAsync()).Leases);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Empty((await grain.GetAsync()).Leases);
    }

    [Fact]
    public async Task A_draining_worker_renews_what_is_held_and_grants_nothing_new()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.DecodeGrain(0);
        await grain.LeaseAsync(Key, 1, 3, Life);
        await grain.DrainAsync();
        Assert.NotNull(await grain.LeaseAsync(Key, 1, 3, Life));
        Assert.Null(await grain.LeaseAsync(Key with { RequestId = "s" }, 1, 3, Life));
        // The link tells of the same process again and again.
        await grain.AttachAsync(GrainCluster.Decode(0));
        Assert.Equal(WorkerState.Draining, (await grain.GetAsync()).State);
        await grain.AttachAsync(GrainCluster.Decode(0, incarnation: 2));
        Assert.Equal(WorkerState.Ready, (await grain.GetAsync()).State);
    }

    [Fact]
    public async Task A_new_incarnation_voids_leases_and_refuses_the_old_one()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.PrefillGrain(0);
        await grain.LeaseAsync(Key, 1, 3, Life);
        await grain.AttachAsync(GrainCluster.Prefill(0, incarnation: 2));
        Assert.Empty((await grain.GetAsync()).Leases);
        Assert.Null(await grain.LeaseAsync(Key, 1, 3, Life));

        // The news of the old one's end comes late.
        await grain.LeaseAsync(Key, 2, 3, Life);
        await grain.DetachAsync(new WorkerIncarnation("prefill-0", 1), "killed");
        Assert.Single((await grain.GetAsync()).Leases);
    }

    [Fact]
    public async Task A_worker_stays_in_memory_while_it_is_attached_and_leaves_with_its_link()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.DecodeGrain(0);
        await grain.LeaseAsync(Key, 1, 3, TimeSpan.FromDays(2));
        cluster.Time.Advance(TimeSpan.FromDays(1));
        await cluster.DeactivateIdleAsync(TimeSpan.FromMinutes(1));
        Assert.Single((await grain.GetAsync()).Leases);

        await grain.DetachAsync(GrainCluster.Decode(0).Worker, "killed");
        await cluster.WhenDeactivatedAsync(grain);
        Assert.Equal(WorkerState.Lost, (await grain.GetAsync()).State);
    }
}
