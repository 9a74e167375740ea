using Krewe.Abstractions;
using Microsoft.Extensions.DependencyInjection;
using Orleans;

namespace Krewe.Grains.Tests.Requests;

/// <summary>Cancels and losses in each phase, waiting, and what becomes of leases meanwhile.</summary>
public class RequestGrainLossTests
{
    [Theory]
    [InlineData("Dispatched")]
    [InlineData("HandingOff")]
    [InlineData("Decoding")]
    [InlineData("WaitingForWorker")]
    public async Task A_cancel_ends_every_phase_and_returns_everything(string phase)
    {
        await using var cluster = await GrainCluster.StartAsync();
        await BeginUntilAsync(cluster, phase);
        await cluster.Request("r").CancelAsync(RequestOutcome.Cancelled, "the client went away");

        if (phase != "WaitingForWorker")
            await cluster.Port.NextAsync<Aborted>();
        Assert.Equal(ErrorCode.ClientClosedRequest, (await cluster.Port.NextAsync<StreamFailed>()).Code);
        cluster.Port.AssertNoMore();
        var record = await cluster.RecordAsync("r");
        Assert.Equal(("Cancelled", RequestOutcome.Cancelled), (record.Phase, record.Outcome));
        Assert.Empty(await cluster.LeasesAsync());
    }

    [Theory]
    [InlineData("Dispatched", true)]
    [InlineData("Dispatched", false)]
    [InlineData("HandingOff", true)]
    [InlineData("HandingOff", false)]
    [InlineData("Decoding", false)]
    public async Task A_lost_worker_is_replaced_in_a_new_epoch(string phase, bool prefillIsLost)
    {
        await using var cluster = await GrainCluster.StartAsync(
            workers:
            [
                GrainCluster.Prefill(0), GrainCluster.Decode(0), GrainCluster.Prefill(1), GrainCluster.Decode(1),
            ]);
        var plan = await BeginUntilAsync(cluster, phase);
        await LoseAsync(cluster, plan, prefillIsLost ? GrainCluster.Prefill(0) : GrainCluster.Decode(0));

        Assert.Equal(plan, (await cluster.Port.NextAsync<Aborted>()).Plan);
        var next = (await cluster.Port.NextAsync<Dispatched>()).Plan;
        Assert.Equal(2, next.Epoch);
        // Which of the others is the policy's to say.
        if (prefillIsLost) Assert.Equal("prefill-1", next.Prefill.WorkerId);
        else Assert.Equal("decode-1", next.Decode.WorkerId);

        // The old epoch can say what it likes.
        await cluster.ReportAsync(
            "r", RequestReportKind.AttemptFailed, plan, plan.Decode, ErrorCode.EngineFault, "late");
        Assert.Equal("Dispatched", (await cluster.RecordAsync("r")).Phase);
        await cluster.ReportAsync("r", RequestReportKind.Finished, next);
        Assert.Equal(2, (await cluster.RecordAsync("r")).Epoch);
        Assert.Empty(await cluster.LeasesAsync());
    }

    [Fact]
    public async Task Prefill_lost_after_the_commit_does_not_matter()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var plan = await BeginUntilAsync(cluster, "Decoding");
        await LoseAsync(cluster, plan, GrainCluster.Prefill(0));
        cluster.Port.AssertNoMore();
        Assert.Equal("Decoding", (await cluster.RecordAsync("r")).Phase);
    }

    [Fact]
    public async Task Used_up_attempts_end_in_one_clean_error()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var plan = await cluster.BeginAsync("r");
        await cluster.ReportAsync(
            "r", RequestReportKind.AttemptFailed, plan, plan.Decode, ErrorCode.HandoffCorrupt, "CRC");
        await cluster.Port.NextAsync<Aborted>();
        plan = (await cluster.Port.NextAsync<Dispatched>()).Plan;
        await cluster.ReportAsync(
            "r", RequestReportKind.AttemptFailed, plan, plan.Decode, ErrorCode.HandoffCorrupt, "CRC");
        await cluster.Port.NextAsync<Aborted>();
        var failed = await cluster.Port.NextAsync<StreamFailed>();
        Assert.Equal(ErrorCode.AttemptsExhausted, failed.Code);
        Assert.Contains("2 of 2 attempts", failed.Message, StringComparison.Ordinal);
        Assert.Empty(await cluster.LeasesAsync());
    }

    [Fact]
    public async Task A_waiting_request_goes_on_as_soon_as_a_worker_is_there()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await BeginUntilAsync(cluster, "WaitingForWorker");
        await cluster.AttachAsync(GrainCluster.Decode(0, incarnation: 2));
        var plan = (await cluster.Port.NextAsync<Dispatched>()).Plan;
        Assert.Equal((2UL, 2), (plan.Decode.Incarnation, plan.Epoch));
    }

    [Fact]
    public async Task A_worker_whose_coming_nobody_told_of_is_found_by_the_clock()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await BeginUntilAsync(cluster, "WaitingForWorker");
        var back = GrainCluster.Decode(0, incarnation: 2);
        await cluster.DecodeGrain(0).AttachAsync(back, GrainCluster.SiloId);
        cluster.View.Set(cluster.View.Workers.Add(FakeClusterView.ViewOf(back)), tell: false);
        cluster.Time.Advance(GrainCluster.Options.HeartbeatInterval);
        await cluster.Port.NextAsync<Dispatched>();
    }

    [Fact]
    public async Task A_waiting_request_whose_client_has_gone_is_not_computed_any_more()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await BeginUntilAsync(cluster, "WaitingForWorker");
        cluster.Port.StreamsAreClosed = true;
        await cluster.AttachAsync(GrainCluster.Decode(0, incarnation: 2));
        await cluster.Port.NextAsync<Aborted>();
        await cluster.Port.NextAsync<StreamFailed>();
        Assert.Equal(RequestOutcome.Cancelled, (await cluster.RecordAsync("r")).Outcome);
        Assert.Empty(await cluster.LeasesAsync());
    }

    [Fact]
    public async Task A_wait_in_vain_ends_in_one_clean_error()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await BeginUntilAsync(cluster, "WaitingForWorker");
        var failed = cluster.Port.NextAsync<StreamFailed>();
        while (!failed.IsCompleted)
        {
            await cluster.AdvanceAsync(GrainCluster.Options.HeartbeatInterval);
            await cluster.RecordAsync("r");
        }

        Assert.Equal(ErrorCode.NoWorkers, (await failed).Code);
        Assert.Equal("Failed", (await cluster.RecordAsync("r")).Phase);
    }

    [Fact]
    public async Task A_long_request_keeps_its_leases_and_a_forgotten_one_does_not()
    {
        await using var cluster = await GrainCluster.StartAsync();
        await cluster.BeginAsync("r");
        var forgotten = await cluster.DecodeGrain(0).LeaseAsync(new LeaseRequest
        {
            Key = new SequenceKey("forgotten", 0, 1),
            Worker = GrainCluster.Decode(0),
            Silo = GrainCluster.SiloId,
            Blocks = 1,
            Life = 3 * GrainCluster.Options.HandoffLease,
        });
        var until = forgotten!.ExpiresAt + (3 * GrainCluster.Options.HandoffLease);
        while (cluster.Time.GetUtcNow() < until)
        {
            await cluster.AdvanceAsync(TimeSpan.FromSeconds(1));
            // The grain's turn after the tick, so that time does not outrun the renewals.
            Assert.Equal("Dispatched", (await cluster.RecordAsync("r")).Phase);
            Assert.Equal(2, (await cluster.LeasesAsync()).Count(lease => lease.Key.RequestId == "r"));
        }

        Assert.Equal(2, (await cluster.LeasesAsync()).Length);
        cluster.Port.AssertNoMore();
    }

    [Fact]
    public async Task A_restart_that_no_link_told_of_is_noticed_by_the_lease()
    {
        await using var cluster = await GrainCluster.StartAsync();
        var plan = await cluster.BeginAsync("r");
        await cluster.AttachAsync(GrainCluster.Decode(0, incarnation: 2));
        cluster.Time.Advance(GrainCluster.Options.HandoffLease);
        Assert.Contains("did not renew", (await cluster.Port.NextAsync<Aborted>()).Reason, StringComparison.Ordinal);
        Assert.Equal(2UL, (await cluster.Port.NextAsync<Dispatched>()).Plan.Decode.Incarnation);
        Assert.Equal(1, plan.Epoch);
    }

    [Fact]
    public async Task A_cancel_does_not_wait_for_a_lease_that_is_not_answered()
    {
        var hold = new HeldLeases();
        await using var cluster = await GrainCluster.StartAsync(
            addServices: services => services.AddSingleton<IIncomingGrainCallFilter>(hold));
        var start = cluster.Request("r").StartAsync(cluster.Spec("r"));
        await hold.Asked.WaitAsync(GrainCluster.Patience);
        await cluster.Request("r").CancelAsync(RequestOutcome.Cancelled, "the client went away");
        Assert.Equal("Cancelled", (await cluster.RecordAsync("r")).Phase);

        // The grant comes after the end, and goes back.
        hold.Release();
        var error = await Assert.ThrowsAsync<KreweException>(() => start);
        Assert.Equal(ErrorCode.ClientClosedRequest, error.Code);
        Assert.Empty(await cluster.LeasesAsync());
        cluster.Port.AssertNoMore();
    }

    private static async Task<RoutePlan> BeginUntilAsync(GrainCluster cluster, string phase)
    {
        var plan = await cluster.BeginAsync("r");
        if (phase is "HandingOff" or "Decoding")
            await cluster.ReportAsync("r", RequestReportKind.HandoffStarted, plan, plan.Decode);
        if (phase == "Decoding")
            await cluster.ReportAsync("r", RequestReportKind.HandoffCommitted, plan, plan.Decode);
        if (phase == "WaitingForWorker")
        {
            await LoseAsync(cluster, plan, GrainCluster.Decode(0));
            await cluster.Port.NextAsync<Aborted>();
            await cluster.View.Watched;
        }

        Assert.Equal(phase, (await cluster.RecordAsync("r")).Phase);
        return plan;
    }

    private static async Task LoseAsync(GrainCluster cluster, RoutePlan plan, WorkerDescriptor worker)
    {
        await cluster.LoseAsync(worker);
        await cluster.ReportAsync("r", RequestReportKind.WorkerLost, plan, worker.Worker);
    }

    /// <summary>Holds every call for a lease until it is let go.</summary>
    private sealed class HeldLeases : IIncomingGrainCallFilter
    {
        private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Asked => _asked.Task;

        public void Release() => _released.SetResult();

        public async Task Invoke(IIncomingGrainCallContext context)
        {
            if (context.MethodName == nameof(IWorkerGrain.LeaseAsync))
            {
                _asked.TrySetResult();
                await _released.Task;
            }

            await context.Invoke();
        }
    }
}
