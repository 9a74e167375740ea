using Krewe.Abstractions;

namespace Krewe.Grains.Tests.Requests;

public class RequestGrainTests
{
    [Fact]
    public async Task A_request_is_planned_leased_dispatched_and_finished()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var plan = await cluster.Request("r").StartAsync(cluster.Spec("r"));
        var dispatched = await cluster.Port.NextAsync<Dispatched>();
        Assert.Equal(plan, dispatched.Plan);
        Assert.Equal(("prefill-0", "decode-0", 1), (plan.Prefill.WorkerId, plan.Decode.WorkerId, plan.Epoch));
        // 40 prompt tokens are 3 blocks of 16; with 20 more they are 4.
        Assert.Equal([3, 4], (await cluster.LeasesAsync()).Select(lease => lease.Blocks));

        await cluster.ReportAsync("r", RequestReportKind.PrefillStarted, plan, plan.Prefill);
        await cluster.ReportAsync("r", RequestReportKind.HandoffStarted, plan, plan.Decode);
        Assert.Equal("HandingOff", (await cluster.RecordAsync("r")).Phase);
        await cluster.ReportAsync("r", RequestReportKind.HandoffCommitted, plan, plan.Decode);
        await cluster.ReportAsync("r", RequestReportKind.Released, plan, plan.Prefill);
        Assert.Equal("r", Assert.Single(await cluster.LeasesAsync()).Key.RequestId);
        await cluster.ReportAsync("r", RequestReportKind.Finished, plan);

        var record = await cluster.RecordAsync("r");
        Assert.Equal((RequestOutcome.Finished, "stop", 7), (record.Outcome, record.FinishReason, record.OutputTokens));
        Assert.Equal((3, 3000), (record.BlocksMoved, record.BytesMoved));
        Assert.Equal([1, 2, 3, 4, 5, 6, 6, 9], record.Log.Select(entry => entry.Step));
        Assert.Empty(await cluster.LeasesAsync());
        cluster.Port.AssertNoMore();
    }

    [Fact]
    public async Task An_id_is_taken_once_even_when_its_grain_has_left_memory()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var plan = await cluster.BeginAsync("r");
        await AssertRefusedAsync(cluster, "r", ErrorCode.DuplicateRequestId);
        await cluster.ReportAsync("r", RequestReportKind.Finished, plan);
        await LeaveMemoryAsync(cluster, "r");
        await AssertRefusedAsync(cluster, "r", ErrorCode.DuplicateRequestId);
    }

    [Fact]
    public async Task A_refused_request_leaves_nothing_and_its_id_may_come_again()
    {
        await using var cluster = await GrainCluster.StartAsync(workers: GrainCluster.Prefill(0));
        await AssertRefusedAsync(cluster, "r", ErrorCode.NoWorkers);
        await cluster.WhenDeactivatedAsync(cluster.Request("r"));
        Assert.Null(await cluster.Request("r").GetRecordAsync());

        await cluster.AttachAsync(GrainCluster.Decode(0));
        await cluster.BeginAsync("r");
        cluster.Port.AssertNoMore();
    }

    [Fact]
    public async Task A_prompt_larger_than_any_pool_is_refused_with_the_arithmetic()
    {
        await using var cluster = await GrainCluster.StartAsync(
            workers: [GrainCluster.Prefill(0) with { TotalBlocks = 2 }, GrainCluster.Decode(0)]);
        var error = await AssertRefusedAsync(cluster, "r", ErrorCode.KvPoolTooSmall);
        Assert.Contains("40 token slots = 3 KV blocks", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dispatch_that_breaks_goes_to_another_worker_as_if_it_had_not_been()
    {
        await using var cluster = await GrainCluster.StartAsync(
            workers:
            [
                GrainCluster.Prefill(0), GrainCluster.Prefill(1), GrainCluster.Decode(0), GrainCluster.Decode(1),
            ]);
        cluster.Port.Unreachable.Add(GrainCluster.Decode(0).Worker);
        var plan = await cluster.Request("r").StartAsync(cluster.Spec("r"));
        Assert.Equal(("decode-1", 2), (plan.Decode.WorkerId, plan.Epoch));
        Assert.Empty(await cluster.LeasesAsync());
    }

    [Fact]
    public async Task The_clients_end_closes_the_stream_and_the_workers()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await cluster.BeginAsync("r");
        await cluster.Request("r").CancelAsync(RequestOutcome.Finished, "a stop string", "stop", 5);
        await cluster.Port.NextAsync<Aborted>();
        cluster.Port.AssertNoMore();
        await cluster.Request("r").CancelAsync(RequestOutcome.Cancelled, "too late");
        var record = await cluster.RecordAsync("r");
        Assert.Equal((RequestOutcome.Finished, "stop", 5), (record.Outcome, record.FinishReason, record.OutputTokens));
        Assert.Null(record.Error);
    }

    [Fact]
    public async Task A_request_that_was_cancelled_before_it_started_does_not_start()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await cluster.Request("r").CancelAsync(RequestOutcome.Cancelled, "the client went away");
        await AssertRefusedAsync(cluster, "r", ErrorCode.ClientClosedRequest);
        cluster.Port.AssertNoMore();
    }

    [Fact]
    public async Task A_deadline_ends_the_request_with_one_clean_error()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await cluster.BeginAsync("r");
        cluster.Time.Advance(GrainCluster.Options.RequestTimeout);
        await cluster.Port.NextAsync<Aborted>();
        Assert.Equal(ErrorCode.DeadlineExceeded, (await cluster.Port.NextAsync<StreamFailed>()).Code);
        Assert.Equal("Failed", (await cluster.RecordAsync("r")).Phase);
    }

    [Fact]
    public async Task The_record_outlives_its_grain_without_prompt_or_plan_to_go_on_with()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var plan = await cluster.BeginAsync("r");
        await cluster.ReportAsync("r", RequestReportKind.HandoffCommitted, plan, plan.Decode);
        await cluster.ReportAsync("r", RequestReportKind.Finished, plan);
        var alive = await cluster.RecordAsync("r");
        await LeaveMemoryAsync(cluster, "r");

        var stored = await cluster.RecordAsync("r");
        Assert.Equal(alive.Log.AsEnumerable(), stored.Log);
        Assert.Equal(alive with { Log = [] }, stored with { Log = [] });
        // Late words of a worker, and reading, keep no grain in memory.
        await cluster.ReportAsync("r", RequestReportKind.Released, plan, plan.Decode);
        await cluster.WhenDeactivatedAsync(cluster.Request("r"));
        Assert.Equal(0, await cluster.CountRequestsAsync());
    }

    [Fact]
    public async Task The_oldest_record_makes_room_for_the_newest()
    {
        await using var cluster = await GrainCluster.StartAsync(new GrainOptions { RecordsMax = 2 });
        foreach (var id in new[] { "a", "b", "c" })
        {
            var plan = await cluster.BeginAsync(id);
            await cluster.ReportAsync(id, RequestReportKind.HandoffCommitted, plan, plan.Decode);
            await cluster.ReportAsync(id, RequestReportKind.Finished, plan);
            // Written when it has left: records count in the order in which they are written.
            await LeaveMemoryAsync(cluster, id);
        }

        Assert.Null(await cluster.Request("a").GetRecordAsync());
        Assert.NotNull(await cluster.Request("b").GetRecordAsync());
        Assert.NotNull(await cluster.Request("c").GetRecordAsync());
    }

    [Fact]
    public async Task A_life_that_its_silo_did_not_survive_is_told_as_failed()
    {
        var folder = Directory.CreateTempSubdirectory("krewe-grains-");
        try
        {
            await using (var cluster = await GrainCluster.StartAsync(folder: folder.FullName))
                await cluster.BeginAsync("r");

            await using var next = await GrainCluster.StartAsync(folder: folder.FullName);
            var record = await next.RecordAsync("r");
            Assert.Equal((RequestOutcome.Failed, ErrorCode.Internal), (record.Outcome, record.Error));
            await AssertRefusedAsync(next, "r", ErrorCode.DuplicateRequestId);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task After_many_requests_no_grain_and_no_lease_is_left()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var before = await cluster.CountGrainsAsync();
        string[] ids = [.. Enumerable.Range(0, 200).Select(i => $"r{i}")];
        await Task.WhenAll(ids.Select(async (id, i) =>
        {
            var plan = await cluster.Request(id).StartAsync(cluster.Spec(id));
            if (i % 3 == 0)
                await cluster.Request(id).CancelAsync(RequestOutcome.Cancelled, "the client went away");
            else
                await cluster.ReportAsync(id, RequestReportKind.Finished, plan);
        }));
        Assert.Empty(await cluster.LeasesAsync());
        Assert.Equal(200, await cluster.CountRequestsAsync());

        cluster.Time.Advance(new GrainOptions().RecordKeep);
        foreach (var id in ids)
            await cluster.WhenDeactivatedAsync(cluster.Request(id));
        Assert.Equal(before, await cluster.CountGrainsAsync());
    }

    private static async Task<KreweException> AssertRefusedAsync(GrainCluster cluster, string id, ErrorCode code)
    {
        var error = await Assert.ThrowsAsync<KreweException>(() => cluster.Request(id).StartAsync(cluster.Spec(id)));
        Assert.Equal(code, error.Code);
        return error;
    }

    private static async Task LeaveMemoryAsync(GrainCluster cluster, string id)
    {
        cluster.Time.Advance(new GrainOptions().RecordKeep);
        await cluster.WhenDeactivatedAsync(cluster.Request(id));
    }
}
