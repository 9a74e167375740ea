using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Requests;

namespace Krewe.Control.Tests.Requests;

/// <summary>A request whose running sequence moves to another worker.</summary>
public sealed class RequestMigrationTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;
    private static readonly WorkerIncarnation P = new("prefill-0", 1);
    private static readonly WorkerIncarnation D = new("decode-0", 2);
    private static readonly WorkerIncarnation E = new("decode-1", 3);
    private static readonly RequestMachine Machine = new(
        new RequestLimits(MaxAttempts: 2, WorkerWait: TimeSpan.FromSeconds(20), TimeSpan.FromMilliseconds(250)));

    private RequestState _state = RequestState.New;
    private ImmutableArray<RequestEffect> _effects = [];

    [Fact]
    public void A_committed_migration_makes_the_target_the_plan_and_frees_the_source()
    {
        BeginMigration();
        Assert.Equal((1, 2), (_state.Epoch, _state.Migration!.Plan.Epoch));
        Report(RequestReportKind.MigrationCommitted, E, epoch: 2);
        Assert.Equal((2, E, 1), (_state.Epoch, _state.Plan!.Decode, _state.Migrations));
        Assert.Equal(D, Assert.Single(_effects.OfType<Abort>()).Plan.Decode);
        Assert.Equal(new LeaseHold(2, E, WorkerPhase.Decode), Assert.Single(_state.Leases));

        // The source is dispensable from now on; the target is not.
        Report(RequestReportKind.WorkerLost, D, epoch: 1);
        Assert.Equal(RequestPhase.Decoding, _state.Phase);
        Report(RequestReportKind.Finished, null, epoch: 2);
        Assert.Equal(RequestOutcome.Finished, _state.Outcome);
    }

    [Theory]
    [InlineData(RequestReportKind.MigrationAborted)]
    [InlineData(RequestReportKind.AttemptFailed)]
    [InlineData(RequestReportKind.WorkerLost)]
    [InlineData(RequestReportKind.Released)]
    public void Whatever_happens_to_the_target_the_sequence_stays_where_it_is(RequestReportKind kind)
    {
        BeginMigration();
        Report(kind, E, epoch: 2);
        Assert.Null(_state.Migration);
        Assert.Equal((RequestPhase.Decoding, 1, D), (_state.Phase, _state.Epoch, _state.Plan!.Decode));
        Assert.DoesNotContain(_state.Leases, lease => lease.Epoch == 2);

        // The epoch of what came to nothing is never used again.
        Request();
        Assert.Equal(3, _state.Migration!.Plan.Epoch);
    }

    [Theory]
    [InlineData(RequestReportKind.WorkerLost)]
    [InlineData(RequestReportKind.Released)]
    public void When_the_source_lets_go_first_the_targets_word_decides(RequestReportKind kind)
    {
        BeginMigration();
        Report(kind, D, epoch: 1);
        Assert.Equal((RequestPhase.Decoding, 1), (_state.Phase, _state.Epoch));
        Report(RequestReportKind.MigrationCommitted, E, epoch: 2);
        Assert.Equal((RequestPhase.Decoding, 2), (_state.Phase, _state.Epoch));
    }

    [Fact]
    public void A_source_that_dies_under_a_migration_that_fails_costs_an_attempt_and_no_more()
    {
        BeginMigration();
        Report(RequestReportKind.WorkerLost, D, epoch: 1);
        Report(RequestReportKind.MigrationAborted, E, epoch: 2);
        Assert.Equal((RequestPhase.Planning, 3), (_state.Phase, _state.Epoch));
        Assert.Equal(D, Assert.Single(_effects.OfType<ChooseRoute>().Single().Excluded));
    }

    [Fact]
    public void A_target_that_says_nothing_after_the_sources_death_is_not_waited_for()
    {
        BeginMigration();
        Report(RequestReportKind.WorkerLost, D, epoch: 1);
        var due = _state.DueAt!.Value;
        Assert.Equal(Start + TimeSpan.FromSeconds(1), due);
        Apply(new ClockTicked(due));
        Assert.Equal(2, Assert.Single(_effects.OfType<RevokeMigration>()).Plan.Epoch);
        Apply(new MigrationRevoked(due, 2));
        Assert.Equal((RequestPhase.Planning, 3), (_state.Phase, _state.Epoch));
    }

    [Fact]
    public void A_migration_that_takes_too_long_is_revoked_unless_the_stream_has_adopted_it()
    {
        BeginMigration();
        Apply(new ClockTicked(Start + TimeSpan.FromSeconds(30)));
        Assert.Single(_effects.OfType<RevokeMigration>());

        // The stream had adopted it: no answer, and the commit's report comes.
        Report(RequestReportKind.MigrationCommitted, E, epoch: 2);
        Assert.Equal(2, _state.Epoch);
    }

    [Fact]
    public void The_end_of_a_request_ends_its_migration()
    {
        BeginMigration();
        Apply(new CancelRequested(Start, RequestOutcome.Cancelled, "gone", null, 0));
        Assert.Single(_effects.OfType<AbortMigration>());
        Assert.Equal(3, _effects.OfType<ReleaseLease>().Count());
        Assert.True(_state.IsTerminal);
    }

    [Fact]
    public void A_refused_lease_ends_the_migration_alone()
    {
        Begin();
        Request();
        Apply(new PlanRefused(Start, _state.Migration!.Plan, [E], ErrorCode.WorkerLost, "it drains"));
        Assert.Null(_state.Migration);
        Assert.Equal(RequestPhase.Decoding, _state.Phase);
        Assert.Single(_effects.OfType<ReleaseLease>());
    }

    [Fact]
    public void A_sequence_under_handoff_on_its_way_or_there_already_does_not_move()
    {
        Begin(decodes: false);
        Assert.NotNull(RequestMachine.WhyNotMigrate(_state, E));
        Report(RequestReportKind.DecodeStarted, D);
        Assert.NotNull(RequestMachine.WhyNotMigrate(_state, D));
        Assert.Null(RequestMachine.WhyNotMigrate(_state, E));
        Request();
        Assert.NotNull(RequestMachine.WhyNotMigrate(_state, E));
    }

    [Fact]
    public void An_eviction_costs_no_attempt()
    {
        BeginMigration();
        Apply(new EvictionRequested(Start, D, "no time left"));
        Assert.Equal((RequestPhase.Planning, 3, 1), (_state.Phase, _state.Epoch, _state.Attempts));
        Assert.Single(_effects.OfType<AbortMigration>());
        Assert.Single(_effects.OfType<Abort>());
        Assert.Equal(D, Assert.Single(_effects.OfType<ChooseRoute>().Single().Excluded));
    }

    [Fact]
    public void A_worker_that_drains_may_refuse_any_number_of_attempts()
    {
        Begin(decodes: false);
        for (var epoch = 1; epoch < 9; epoch++)
        {
            Apply(new Reported(Start, new RequestReport
            {
                Kind = RequestReportKind.AttemptFailed,
                Epoch = epoch,
                Worker = D,
                Error = ErrorCode.Draining,
            }));
            Assert.Equal(D, Assert.Single(_effects.OfType<ChooseRoute>().Single().Excluded));
            var plan = new RoutePlan(epoch + 1, P, D, 0, "test");
            Apply(new RouteFound(Start, plan));
            Apply(new LeasesGranted(Start, plan));
            Assert.Equal(RequestPhase.Dispatched, _state.Phase);
        }
    }

    private void Begin(bool decodes = true)
    {
        Apply(new RequestStarted(Start, Start, Start + TimeSpan.FromMinutes(10)));
        var plan = new RoutePlan(1, P, D, 0, "test");
        Apply(new RouteFound(Start, plan));
        Apply(new LeasesGranted(Start, plan));
        if (decodes) Report(RequestReportKind.DecodeStarted, D);
    }

    private void BeginMigration()
    {
        Begin();
        Request();
        Assert.Equal(_state.Migration!.Plan, Assert.Single(_effects.OfType<AcquireLeases>()).Plan);
        Apply(new LeasesGranted(Start, _state.Migration!.Plan));
        var migrate = Assert.Single(_effects.OfType<DispatchMigration>());
        Assert.Equal((D, 1), (migrate.Source, migrate.SourceEpoch));
    }

    private void Request() => Apply(new MigrationRequested(Start, E, "balance"));

    private void Report(RequestReportKind kind, WorkerIncarnation? worker, int epoch = 1) =>
        Apply(new Reported(Start, new RequestReport
        {
            Kind = kind,
            Epoch = epoch,
            Worker = worker,
            FinishReason = kind == RequestReportKind.Finished ? "stop" : null,
        }));

    private void Apply(RequestEvent happened) => (_state, _effects) = Machine.Apply(_state, happened);
}
