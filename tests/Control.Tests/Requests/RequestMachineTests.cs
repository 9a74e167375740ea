using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Requests;

namespace Krewe.Control.Tests.Requests;

public class RequestMachineTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;
    private static readonly WorkerIncarnation P = new("prefill-0", 1);
    private static readonly WorkerIncarnation D = new("decode-0", 2);
    private static readonly RequestMachine Machine = new(
        new RequestLimits(MaxAttempts: 2, WorkerWait: TimeSpan.FromSeconds(20), TimeSpan.FromMilliseconds(250)));

    private RequestState _state = RequestState.New;
    private ImmutableArray<RequestEffect> _effects = [];

    [Fact]
    public void A_request_goes_through_its_phases_and_finishes()
    {
        Begin();
        Assert.Equal(RequestPhase.Dispatched, _state.Phase);
        Report(RequestReportKind.PrefillStarted, P);
        Report(RequestReportKind.HandoffStarted, D);
        Assert.Equal(RequestPhase.HandingOff, _state.Phase);
        Report(RequestReportKind.HandoffCommitted, D);
        Assert.Equal(RequestPhase.Decoding, _state.Phase);
        Report(RequestReportKind.FirstToken, null);
        Report(RequestReportKind.Finished, null);

        Assert.Equal(RequestOutcome.Finished, _state.Outcome);
        Assert.Equal("stop", _state.FinishReason);
        Assert.Equal(3, _state.BlocksMoved);
        Assert.DoesNotContain(_effects, effect => effect is Abort or TellFailure);
        Assert.Equal([1, 2, 3, 4, 5, 6, 8, 9], _state.Log.Select(entry => entry.Step));
    }

    [Fact]
    public void Decode_is_aborted_when_prefill_ends_the_stream()
    {
        Begin();
        Report(RequestReportKind.Finished, null);
        Assert.Equal(RequestPhase.Finished, _state.Phase);
        Assert.Single(_effects.OfType<Abort>());
    }

    [Theory]
    [InlineData(RequestPhase.Dispatched, true, true)]
    [InlineData(RequestPhase.Dispatched, false, true)]
    [InlineData(RequestPhase.HandingOff, true, true)]
    [InlineData(RequestPhase.HandingOff, false, true)]
    [InlineData(RequestPhase.Decoding, true, false)]
    [InlineData(RequestPhase.Decoding, false, true)]
    public void A_lost_worker_costs_the_attempt_unless_it_only_had_to_free(
        RequestPhase phase, bool prefillIsLost, bool replans)
    {
        BeginUntil(phase);
        var lost = prefillIsLost ? P : D;
        Report(RequestReportKind.WorkerLost, lost);

        Assert.DoesNotContain(_state.Holders, holder => holder.Worker == lost);
        Assert.Equal(replans ? RequestPhase.Planning : phase, _state.Phase);
        Assert.Equal(replans ? 2 : 1, _state.Epoch);
        if (replans)
        {
            Assert.Equal([typeof(ReleaseLease), typeof(Abort), typeof(ReleaseLease), typeof(ChooseRoute)],
                _effects.Select(effect => effect.GetType()));
            Assert.Equal(lost, Assert.Single(_effects.OfType<ChooseRoute>().Single().Excluded));
        }
    }

    [Fact]
    public void An_error_that_no_other_worker_can_mend_is_not_tried_again()
    {
        Begin();
        Report(RequestReportKind.AttemptFailed, P, ErrorCode.EngineFault, "NaN in layer 3");
        Assert.Equal(RequestPhase.Failed, _state.Phase);
        Assert.Equal(ErrorCode.EngineFault, _state.Error);
        Assert.Equal("NaN in layer 3", _effects.OfType<TellFailure>().Single().Message);
    }

    [Fact]
    public void Used_up_attempts_end_in_one_error_that_says_why()
    {
        Begin();
        Report(RequestReportKind.AttemptFailed, D, ErrorCode.HandoffCorrupt, "CRC of block 3");
        Route();
        Report(RequestReportKind.AttemptFailed, D, ErrorCode.HandoffCorrupt, "CRC of block 7");
        Assert.Equal(ErrorCode.AttemptsExhausted, _state.Error);
        Assert.Contains("2 of 2 attempts failed", _state.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains("CRC of block 7", _state.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_source_that_decode_accuses_is_not_used_by_the_next_attempt()
    {
        Begin();
        Report(RequestReportKind.AttemptFailed, D, ErrorCode.HandoffSourceLost, "reset by peer");
        Assert.Equal(P, Assert.Single(_state.Excluded));
    }

    [Fact]
    public void Without_any_worker_the_start_is_refused_and_nothing_is_kept()
    {
        Apply(new RequestStarted(Start, Start, Start + TimeSpan.FromMinutes(1)));
        Apply(new RouteMissing(Start, 1, ErrorCode.NoWorkers, "nobody"));
        Assert.Equal(RequestPhase.Failed, _state.Phase);
        Assert.Equal(ErrorCode.NoWorkers, _state.Error);
        Assert.Empty(_effects);
    }

    [Fact]
    public void A_refused_dispatch_is_no_attempt_and_the_refuser_is_not_asked_again()
    {
        Begin();
        var plan = _state.Plan!;
        Apply(new PlanRefused(Start, plan, [P], ErrorCode.WorkerLost, "the link is gone"));
        Assert.Equal((RequestPhase.Planning, 2, 0), (_state.Phase, _state.Epoch, _state.Attempts));
        Assert.Equal(P, Assert.Single(_state.Excluded));
        Assert.Equal(2, _effects.OfType<ReleaseLease>().Count());
        Assert.Empty(_state.Holders);
    }

    [Fact]
    public void A_request_waits_for_a_worker_and_goes_on_when_one_comes()
    {
        Begin();
        Report(RequestReportKind.WorkerLost, D);
        Apply(new RouteMissing(Start, 2, ErrorCode.NoWorkers, "no decode worker"));
        Assert.Equal(RequestPhase.WaitingForWorker, _state.Phase);
        Assert.Equal(Start + TimeSpan.FromMilliseconds(250), _state.DueAt);

        Apply(new WorkersChanged(Start + TimeSpan.FromMilliseconds(100)));
        // The lost worker itself may be the one that came back.
        Assert.Empty(_effects.OfType<ChooseRoute>().Single().Excluded);
        Route();
        Assert.Equal((RequestPhase.Dispatched, 2), (_state.Phase, _state.Epoch));
    }

    [Fact]
    public void Looking_again_and_again_does_not_prolong_the_wait()
    {
        Begin();
        Report(RequestReportKind.WorkerLost, D);
        Apply(new RouteMissing(Start, 2, ErrorCode.NoWorkers, "no decode worker"));
        while (_state.DueAt is { } due)
        {
            Apply(new ClockTicked(due));
            if (_state.Phase == RequestPhase.Planning)
                Apply(new RouteMissing(due, 2, ErrorCode.NoWorkers, "no decode worker"));
        }

        Assert.Equal(ErrorCode.NoWorkers, _state.Error);
        Assert.Equal(Start + TimeSpan.FromSeconds(20), _state.Log[^1].At);
        Assert.Single(_state.Log, entry => entry.What.StartsWith("waits", StringComparison.Ordinal));
    }

    [Fact]
    public void A_finish_of_an_older_epoch_ends_the_request_and_the_newer_attempt()
    {
        Begin();
        Report(RequestReportKind.WorkerLost, P);
        Route();
        Apply(new Reported(Start, new RequestReport { Kind = RequestReportKind.Finished, Epoch = 1 }));
        Assert.Equal(RequestPhase.Finished, _state.Phase);
        Assert.Equal(2, _effects.OfType<Abort>().Single().Plan.Epoch);
    }

    [Fact]
    public void Output_that_is_known_of_is_never_unlearnt()
    {
        Begin();
        Apply(new Reported(Start, new RequestReport
        {
            Kind = RequestReportKind.FirstToken,
            Epoch = 1,
            OutputTokens = 5,
        }));
        Report(RequestReportKind.WorkerLost, D);
        Assert.Equal(5, _state.OutputTokens);
        Apply(new CancelRequested(Start, RequestOutcome.Cancelled, "the client went away", null, 0));
        Assert.Equal(5, _state.OutputTokens);
    }

    [Fact]
    public void The_same_report_told_twice_is_noted_once()
    {
        BeginUntil(RequestPhase.Decoding);
        var log = _state.Log;
        Report(RequestReportKind.HandoffCommitted, D);
        Assert.Equal(3, _state.BlocksMoved);
        Assert.Equal(log, _state.Log);
    }

    [Fact]
    public void A_second_start_is_a_mistake_of_the_caller()
    {
        Begin();
        Assert.Throws<InvalidOperationException>(() => Apply(new RequestStarted(Start, Start, Start)));
    }

    private void BeginUntil(RequestPhase phase)
    {
        Begin();
        if (phase is RequestPhase.HandingOff or RequestPhase.Decoding)
            Report(RequestReportKind.HandoffStarted, D);
        if (phase == RequestPhase.Decoding)
            Report(RequestReportKind.HandoffCommitted, D);
        Assert.Equal(phase, _state.Phase);
    }

    private void Begin()
    {
        Apply(new RequestStarted(Start, Start, Start + TimeSpan.FromMinutes(10)));
        Route();
    }

    private void Route()
    {
        var plan = new RoutePlan(_state.Epoch, P, D, 0, "the only ones");
        Apply(new RouteFound(Start, plan));
        Apply(new LeasesGranted(Start, plan));
    }

    private void Report(
        RequestReportKind kind, WorkerIncarnation? worker, ErrorCode? error = null, string? message = null) =>
        Apply(new Reported(Start, new RequestReport
        {
            Kind = kind,
            Epoch = _state.Epoch,
            Worker = worker,
            Error = error,
            Message = message,
            FinishReason = kind == RequestReportKind.Finished ? "stop" : null,
            BlocksMoved = kind == RequestReportKind.HandoffCommitted ? 3 : 0,
        }));

    private void Apply(RequestEvent happened) => (_state, _effects) = Machine.Apply(_state, happened);
}
