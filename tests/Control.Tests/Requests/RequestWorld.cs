using Krewe.Abstractions;
using Krewe.Control.Requests;

namespace Krewe.Control.Tests.Requests;

/// <summary>
/// Everything round a request machine: routing, worker grains, workers and clock, in which messages are late, doubled
/// and out of order as a script of numbers says. Every rule of <see cref="RequestChecker"/> holds after every event.
/// </summary>
internal sealed partial class RequestWorld(Func<RequestState, RequestEvent, RequestTransition> apply, int[] script)
{
    public static readonly RequestLimits Limits =
        new(MaxAttempts: 3, WorkerWait: TimeSpan.FromSeconds(20), RetryInterval: TimeSpan.FromMilliseconds(250));

    private static readonly ErrorCode[] Failures =
        [ErrorCode.HandoffCorrupt, ErrorCode.HandoffSourceLost, ErrorCode.EngineFault, ErrorCode.LeaseExpired];

    private static readonly WorkerIncarnation[] Prefills = [new("p0", 1), new("p1", 2), new("m0", 3)];
    private static readonly WorkerIncarnation[] Decodes = [new("d0", 4), new("d1", 5), new("m0", 3)];

    /// <summary>Messages under way: each is performed once, at whatever moment.</summary>
    private readonly List<Action> _underWay = [];
    private readonly List<RequestEvent> _delivered = [];
    private readonly RequestChecker _checker = new();
    private int _read;
    private bool _quiet;
    private DateTimeOffset _now = DateTimeOffset.UnixEpoch;

    public RequestState State { get; private set; } = RequestState.New;

    public HashSet<RequestPhase> PhasesSeen { get; } = [];

    public HashSet<Type> EventsSeen { get; } = [];

    /// <summary>Plays the script, then lets the world go quiet and checks that the request came to its end.</summary>
    /// <exception cref="InvalidOperationException">A rule was broken.</exception>
    public void Run()
    {
        Happen(new RequestStarted(_now, _now, _now + TimeSpan.FromMinutes(2)));
        while (_read < script.Length)
            Play(Pick(18));

        _quiet = true;
        for (var turn = 0; turn < 10_000 && (_underWay.Count > 0 || !State.IsTerminal); turn++)
        {
            if (_underWay.Count > 0)
                Perform(0);
            else if (State.DueAt is { } due)
                Tick(due - _now);
            else
                break;
        }

        _checker.AtTheEnd(State);
    }

    private void Play(int action)
    {
        switch (action)
        {
            case < 9 when _underWay.Count > 0:
                Perform(Pick(_underWay.Count));
                break;
            case 9 when _delivered.Count > 0:
                Happen(_delivered[Pick(_delivered.Count)]);
                break;
            case 10:
                Tick(TimeSpan.FromMilliseconds(Pick(10) == 0 ? 15_000 : Pick(400)));
                break;
            case 11:
                Happen(new WorkersChanged(_now));
                break;
            case 12:
                Happen(Report(RequestReportKind.WorkerLost, 1 + Pick(State.Epoch + 1), AnyWorker()));
                break;
            case 13:
                Happen(Report((RequestReportKind)Pick(14), 1 + Pick(State.Epoch + 1), AnyWorker()));
                break;
            case 14:
                Happen(new LeaseLost(_now, 1 + Pick(State.Epoch + 1), AnyWorker()));
                break;
            case 16:
                Happen(new MigrationRequested(_now, Decodes[Pick(3)], "balance"));
                break;
            case 17 when Pick(4) == 0:
                Happen(new EvictionRequested(_now, AnyWorker(), "it drains"));
                break;
            case 15 when Pick(4) == 0:
                Happen(new CancelRequested(_now, (RequestOutcome)Pick(3), "the client went away", null, 0));
                break;
            default:
                break;
        }
    }

    private void Happen(RequestEvent happened)
    {
        _delivered.Add(happened is RequestStarted ? new WorkersChanged(_now) : happened);
        EventsSeen.Add(happened.GetType());
        var before = State;
        var (after, effects) = apply(before, happened);
        _checker.AfterEvent(before, happened, after, effects);
        State = after;
        PhasesSeen.Add(after.Phase);
        foreach (var effect in effects)
            Do(effect);
    }

    private void Do(RequestEffect effect)
    {
        switch (effect)
        {
            case ChooseRoute choose:
                var answer = Route(choose);
                _underWay.Add(() => Happen(answer with { At = _now }));
                break;
            case AcquireLeases acquire:
                _underWay.Add(() => Lease(acquire.Plan));
                break;
            case ReleaseLease release:
                _underWay.Add(() => _checker.Leases.Remove(release.Lease));
                break;
            case Dispatch dispatch when !_quiet && Pick(8) == 0:
                _checker.Dispatched.Remove(dispatch.Plan.Epoch);
                _underWay.Add(() => Happen(new PlanRefused(
                    _now, dispatch.Plan, [dispatch.Plan.Prefill], ErrorCode.WorkerLost, "the link is gone")));
                break;
            case Dispatch dispatch:
                Compute(dispatch.Plan);
                break;
            case Abort abort:
                foreach (var lease in LeaseHold.Of(abort.Plan))
                    Later(Report(RequestReportKind.Released, abort.Plan.Epoch, lease.Worker));
                break;
            case DispatchMigration or RevokeMigration or AbortMigration:
                DoMigration(effect);
                break;
            case TellFailure or PersistRecord:
                break;
            default:
                throw new InvalidOperationException($"Unknown effect {effect}.");
        }
    }

    private RequestEvent Route(ChooseRoute choose)
    {
        WorkerIncarnation[] prefills = [.. Prefills.Except(choose.Excluded)];
        WorkerIncarnation[] decodes = [.. Decodes.Except(choose.Excluded)];
        if (prefills.Length == 0 || decodes.Length == 0 || (!_quiet && Pick(5) == 0))
            return new RouteMissing(_now, choose.Epoch, ErrorCode.NoWorkers, "nobody is ready");
        return new RouteFound(_now, new RoutePlan(
            choose.Epoch, prefills[Pick(prefills.Length)], decodes[Pick(decodes.Length)], 0, "drawn"));
    }

    private void Lease(RoutePlan plan)
    {
        var leases = LeaseHold.Of(plan);
        var refused = !_quiet && Pick(6) == 0;
        // A refusal may come when the first of two was granted already.
        foreach (var lease in refused ? leases[..^1] : leases)
            _checker.Leases.Add(lease);
        _underWay.Add(() => Happen(refused
            ? new PlanRefused(_now, plan, [leases[^1].Worker], ErrorCode.WorkerLost, "restarted")
            : new LeasesGranted(_now, plan)));
    }

    private void Compute(RoutePlan plan)
    {
        RequestReportKind[] life =
        [
            RequestReportKind.Accepted, RequestReportKind.PrefillStarted, RequestReportKind.PrefillFinished,
            RequestReportKind.HandoffStarted, RequestReportKind.HandoffCommitted, RequestReportKind.DecodeStarted,
            RequestReportKind.FirstToken,
        ];
        foreach (var kind in life)
            Later(Report(kind, plan.Epoch, kind < RequestReportKind.HandoffStarted ? plan.Prefill : plan.Decode));
        // An attempt that hangs says nothing more: then only the deadline ends it.
        var end = _quiet ? 0 : Pick(4);
        if (end == 0)
            Later(Report(RequestReportKind.Finished, plan.Epoch, plan.Decode));
        if (end == 1)
            Later(Report(RequestReportKind.AttemptFailed, plan.Epoch, plan.Decode));
        if (end < 2)
            Later(Report(RequestReportKind.Released, plan.Epoch, plan.Decode));
    }

    private Reported Report(RequestReportKind kind, int epoch, WorkerIncarnation worker) => new(_now, new RequestReport
    {
        Kind = kind,
        Epoch = epoch,
        Worker = worker,
        Error = kind == RequestReportKind.AttemptFailed ? Failures[Pick(Failures.Length)] : null,
        FinishReason = kind == RequestReportKind.Finished ? "stop" : null,
        BlocksMoved = kind == RequestReportKind.HandoffCommitted ? 3 : 0,
    });

    private void Later(Reported report) => _underWay.Add(() => Happen(report with { At = _now }));

    private void Perform(int index)
    {
        var message = _underWay[index];
        _underWay.RemoveAt(index);
        message();
    }

    private void Tick(TimeSpan passed)
    {
        _now += passed;
        Happen(new ClockTicked(_now));
    }

    private WorkerIncarnation AnyWorker() => Pick(2) == 0 ? Prefills[Pick(3)] : Decodes[Pick(3)];

    /// <summary>The script's next number in [0, count); 0 when it is read to its end.</summary>
    private int Pick(int count) => _read < script.Length ? script[_read++] % count : 0;
}
