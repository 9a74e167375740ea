using Krewe.Abstractions;

namespace Krewe.Grains.Tests.Requests;

public class RequestGrainMigrationTests
{
    [Fact]
    public async Task A_running_request_moves_and_its_leases_move_with_it()
    {
        await using var cluster = await StartAsync();
        var plan = await DecodeAsync(cluster, "r");
        Assert.Null(await cluster.Request("r").MigrateAsync(GrainCluster.Decode(1).Worker, "test"));
        var moving = await cluster.Port.NextAsync<Moving>();
        Assert.Equal((plan.Decode, 1, 2), (moving.Source, moving.SourceEpoch, moving.Plan.Epoch));
        Assert.Equal("it is moving to decode-1#00000001 already",
            await cluster.Request("r").MigrateAsync(GrainCluster.Decode(1).Worker, "again"));

        await cluster.ReportAsync("r", RequestReportKind.MigrationCommitted, moving.Plan, moving.Plan.Decode);
        Assert.Equal(plan, (await cluster.Port.NextAsync<Aborted>()).Plan);
        var record = await cluster.RecordAsync("r");
        Assert.Equal((1, 2, "decode-1"), (record.Migrations, record.Epoch, record.Plan!.Decode.WorkerId));
        Assert.Empty((await cluster.DecodeGrain(0).GetAsync()).Leases);
        Assert.Single((await cluster.DecodeGrain(1).GetAsync()).Leases);

        await cluster.ReportAsync("r", RequestReportKind.Finished, moving.Plan);
        Assert.Equal(RequestOutcome.Finished, (await cluster.RecordAsync("r")).Outcome);
        Assert.Empty((await cluster.DecodeGrain(1).GetAsync()).Leases);
        cluster.Port.AssertNoMore();
    }

    [Fact]
    public async Task A_migration_to_a_worker_that_is_not_there_leaves_the_request_as_it_is()
    {
        await using var cluster = await StartAsync();
        var plan = await DecodeAsync(cluster, "r");
        Assert.Null(await cluster.Request("r").MigrateAsync(GrainCluster.Decode(9).Worker, "test"));
        var record = await cluster.RecordAsync("r");
        Assert.Equal((0, plan), (record.Migrations, record.Plan));
        Assert.Contains(record.Log, entry => entry.What.StartsWith("migration given up", StringComparison.Ordinal));
        Assert.Null(await cluster.Request("r").MigrateAsync(GrainCluster.Decode(1).Worker, "test"));
        await cluster.Port.NextAsync<Moving>();
    }

    [Fact]
    public async Task A_migration_that_takes_too_long_is_revoked_unless_its_stream_has_adopted_it()
    {
        await using var cluster = await StartAsync();
        await DecodeAsync(cluster, "r");
        await cluster.Request("r").MigrateAsync(GrainCluster.Decode(1).Worker, "test");
        var plan = (await cluster.Port.NextAsync<Moving>()).Plan;
        cluster.Port.Adopted.Add(plan.Epoch);
        cluster.Time.Advance(TimeSpan.FromSeconds(31));
        Assert.NotNull(await cluster.Request("r").MigrateAsync(GrainCluster.Decode(1).Worker, "still moving"));
        cluster.Port.AssertNoMore();
        await cluster.ReportAsync("r", RequestReportKind.MigrationCommitted, plan, plan.Decode);
        Assert.Equal(1, (await cluster.RecordAsync("r")).Migrations);
    }

    [Fact]
    public async Task A_request_that_does_not_run_cannot_move()
    {
        await using var cluster = await StartAsync();
        Assert.Equal(
            "it is not running", await cluster.Request("nobody").MigrateAsync(GrainCluster.Decode(1).Worker, "test"));
    }

    private static Task<GrainCluster> StartAsync() => GrainCluster.StartAsync(
        workers: [GrainCluster.Prefill(0), GrainCluster.Decode(0), GrainCluster.Decode(1)]);

    private static async Task<RoutePlan> DecodeAsync(GrainCluster cluster, string id)
    {
        var plan = await cluster.BeginAsync(id);
        await cluster.ReportAsync(id, RequestReportKind.DecodeStarted, plan, plan.Decode);
        await cluster.ReportAsync(id, RequestReportKind.Released, plan, plan.Prefill);
        return plan;
    }
}
