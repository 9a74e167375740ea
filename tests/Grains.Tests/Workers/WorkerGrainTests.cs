using Krewe.Abstractions;

namespace Krewe.Grains.Tests.Workers;

public class WorkerGrainTests
{
    private static readonly SequenceKey Key = new("r", 0, 1);
    private static readonly TimeSpan Life = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task An_unknown_worker_is_lost_and_stays_out_of_memory()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var before = await cluster.CountGrainsAsync();
        var grain = cluster.DecodeGrain(9);
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
        var lease = await LeaseAsync(grain, 1, Key, Life);
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
        await LeaseAsync(grain, 1, Key, Life);
        await grain.DrainAsync();
        Assert.NotNull(await LeaseAsync(grain, 1, Key, Life));
        Assert.Null(await LeaseAsync(grain, 1, Key with { RequestId = "s" }, Life));
        // The link tells of the same process again and again.
        await grain.AttachAsync(GrainCluster.Decode(0), GrainCluster.SiloId);
        Assert.Equal(WorkerState.Draining, (await grain.GetAsync()).State);
        await grain.AttachAsync(GrainCluster.Decode(0, incarnation: 2), GrainCluster.SiloId);
        Assert.Equal(WorkerState.Ready, (await grain.GetAsync()).State);
    }

    [Fact]
    public async Task A_new_incarnation_voids_leases_and_refuses_the_old_one()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.PrefillGrain(0);
        await LeaseAsync(grain, 1, Key, Life);
        await grain.AttachAsync(GrainCluster.Prefill(0, incarnation: 2), GrainCluster.SiloId);
        Assert.Empty((await grain.GetAsync()).Leases);
        Assert.Null(await LeaseAsync(grain, 1, Key, Life));

        // The news of the old one's end comes late.
        await LeaseAsync(grain, 2, Key, Life);
        await grain.DetachAsync(new WorkerIncarnation("prefill-0", 1), GrainCluster.SiloId, "killed");
        Assert.Single((await grain.GetAsync()).Leases);
    }

    [Fact]
    public async Task A_silo_that_loses_its_link_loses_its_own_leases_and_no_others()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.DecodeGrain(0);
        await grain.AttachAsync(GrainCluster.Decode(0), "silo-1");
        await LeaseAsync(grain, 1, Key, Life);
        await LeaseAsync(grain, 1, Key with { RequestId = "theirs" }, Life, "silo-1");

        await grain.DetachAsync(GrainCluster.Decode(0).Worker, GrainCluster.SiloId, "killed");
        var left = await grain.GetAsync();
        Assert.Equal(WorkerState.Ready, left.State);
        Assert.Equal(("theirs", "silo-1"), (left.Leases.Single().Key.RequestId, left.Leases.Single().Silo));

        await grain.DetachAsync(GrainCluster.Decode(0).Worker, "silo-1", "killed");
        Assert.Empty((await grain.GetAsync()).Leases);
    }

    [Fact]
    public async Task A_grain_that_was_made_anew_takes_the_asking_silos_word_for_its_worker()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.DecodeGrain(9);
        // The silo that had the grain is dead; its requests live on another one, and renew.
        Assert.NotNull(await grain.LeaseAsync(Ask(Key, GrainCluster.Decode(9), Life)));
        var record = await grain.GetAsync();
        Assert.Equal((WorkerState.Ready, 1), (record.State, record.Leases.Length));
    }

    [Fact]
    public async Task A_worker_stays_in_memory_while_it_is_attached_and_leaves_with_its_link()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var grain = cluster.DecodeGrain(0);
        await LeaseAsync(grain, 1, Key, TimeSpan.FromDays(2));
        cluster.Time.Advance(TimeSpan.FromDays(1));
        await cluster.DeactivateIdleAsync(TimeSpan.FromMinutes(1));
        Assert.Single((await grain.GetAsync()).Leases);

        await grain.DetachAsync(GrainCluster.Decode(0).Worker, GrainCluster.SiloId, "killed");
        await cluster.WhenDeactivatedAsync(grain);
        Assert.Equal(WorkerState.Lost, (await grain.GetAsync()).State);
    }

    private static async Task<LeaseGrant?> LeaseAsync(
        IWorkerGrain grain, ulong incarnation, SequenceKey key, TimeSpan life, string silo = GrainCluster.SiloId)
    {
        var worker = (await grain.GetAsync()).Descriptor!;
        return await grain.LeaseAsync(Ask(
            key, worker with { Worker = worker.Worker with { Incarnation = incarnation } }, life, silo));
    }

    private static LeaseRequest Ask(
        SequenceKey key, WorkerDescriptor worker, TimeSpan life, string silo = GrainCluster.SiloId) =>
        new() { Key = key, Worker = worker, Silo = silo, Blocks = 3, Life = life };
}
