using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>
/// A request's life as (state, event) -> (state, effects). Pure: times come in with events. Every started request
/// reaches exactly one terminal phase, and what it leased or dispatched before is released or aborted by then.
/// </summary>
/// <remarks>
/// Events may come late, twice and out of order. One that no longer concerns the current epoch changes nothing but
/// counters, what is known of holders, and leases that a late grant would leave behind.
/// </remarks>
public sealed partial class RequestMachine(RequestLimits limits)
{
    /// <summary>Entries kept of one life; a request that waits for a flapping worker could write without end.</summary>
    private const int LogEntriesMax = 256;

    /// <exception cref="InvalidOperationException">A second <see cref="RequestStarted"/>.</exception>
    public RequestTransition Apply(RequestState state, RequestEvent happened) => happened switch
    {
        RequestStarted e => Start(state, e),
        RouteFound e => OnRouteFound(state, e),
        RouteMissing e => OnRouteMissing(state, e),
        LeasesGranted e => OnLeasesGranted(state, e),
        PlanRefused e => OnPlanRefused(state, e),
        Reported e => OnReport(state, e.Report, e.At),
        LeaseLost e => OnLeaseLost(state, e),
        CancelRequested e => OnCancel(state, e),
        MigrationRequested e => OnMigrationRequested(state, e),
        MigrationRevoked e => OnMigrationRevoked(state, e),
        EvictionRequested e => OnEvicted(state, e),
        WorkersChanged e => state.Phase == RequestPhase.WaitingForWorker ? LookAgain(state) : Ignore(state),
        ClockTicked e => OnTick(state, e),
        _ => throw new ArgumentOutOfRangeException(
            nameof(happened), happened, "An event that the request machine does not know."),
    };

    private static RequestTransition Start(RequestState state, RequestStarted e)
    {
        if (state.Phase != RequestPhase.Received)
            throw new InvalidOperationException($"A request was started twice: it is {state.Phase}.");
        state = Note(state, 1, e.ArrivedAt, null, "taken in by the gateway");
        state = Note(state, 2, e.At, null, "admitted");
        return Plan(state with { Deadline = e.Deadline }, []);
    }

    /// <summary>A new epoch: whatever was asked of anybody under the old one is void.</summary>
    private static RequestTransition Plan(
        RequestState state, ImmutableArray<WorkerIncarnation> excluded, params ReadOnlySpan<RequestEffect> before)
    {
        state = state with
        {
            Phase = RequestPhase.Planning,
            Epoch = Math.Max(state.Epoch, state.EpochsUsed) + 1,
            RetryAt = null,
            Excluded = excluded,
        };
        return new RequestTransition(state, [.. before, new ChooseRoute(state.Epoch, excluded)]);
    }

    /// <summary>Plans the epoch that found no worker once more: nothing was asked of anybody under it.</summary>
    private static RequestTransition LookAgain(RequestState state)
    {
        state = state with { Phase = RequestPhase.Planning, RetryAt = null, Excluded = [] };
        return new RequestTransition(state, [new ChooseRoute(state.Epoch, [])]);
    }

    private static RequestTransition OnRouteFound(RequestState state, RouteFound e)
    {
        if (state.Phase != RequestPhase.Planning || e.Plan.Epoch != state.Epoch)
            return Ignore(state);
        state = Note(state, 3, e.At, null, $"planned {e.Plan.Prefill} -> {e.Plan.Decode}: {e.Plan.Reason}");
        state = state with { Phase = RequestPhase.Leasing, Plan = e.Plan, Leases = LeaseHold.Of(e.Plan) };
        return new RequestTransition(state, [new AcquireLeases(e.Plan)]);
    }

    private RequestTransition OnRouteMissing(RequestState state, RouteMissing e)
    {
        if (state.Phase != RequestPhase.Planning || e.Epoch != state.Epoch)
            return Ignore(state);
        // Nothing was computed yet: the client learns at once and may go elsewhere.
        if (state.Attempts == 0)
            return Fail(state, e.At, e.Code, e.Message);

        if (state.WaitUntil is not { } until)
        {
            until = e.At + limits.WorkerWait;
            state = Note(state, 3, e.At, null, $"waits for a worker: {e.Message}");
        }

        if (e.At >= until)
            return FailForWantOfWorkers(state, e.At);
        state = state with
        {
            Phase = RequestPhase.WaitingForWorker,
            WaitUntil = until,
            RetryAt = e.At + limits.RetryInterval,
        };
        return new RequestTransition(state, []);
    }

    private static RequestTransition OnLeasesGranted(RequestState state, LeasesGranted e)
    {
        if (IsMigration(state, e.Plan.Epoch))
            return OnMigrationLeased(state);
        if (state.Phase != RequestPhase.Leasing || e.Plan.Epoch != state.Epoch)
            return GiveBack(state, e.Plan);
        state = state with
        {
            Phase = RequestPhase.Dispatched,
            Attempts = state.Attempts + 1,
            Holders = [.. state.Holders, .. state.Leases.Select(lease => new AttemptHolder(state.Epoch, lease.Worker))],
        };
        return new RequestTransition(state, [new Dispatch(e.Plan)]);
    }

    private RequestTransition OnPlanRefused(RequestState state, PlanRefused e)
    {
        if (e.Refusers.IsDefaultOrEmpty)
            throw new ArgumentException("Somebody must have refused: the same plan would be made for ever.", nameof(e));
        if (IsMigration(state, e.Plan.Epoch))
            return OnMigrationRefused(state, e);
        if (state.Phase is not (RequestPhase.Leasing or RequestPhase.Dispatched) || e.Plan.Epoch != state.Epoch)
            return GiveBack(state, e.Plan);
        (state, var dropped) = DropMigration(state);
        RequestEffect[] releases = [.. dropped, .. ReleaseAll(state)];
        state = Note(state, 3, e.At, e.Refusers[0].WorkerId, $"plan refused: {e.Message}") with
        {
            // A dispatch that broke did not stand: nothing of it is anywhere.
            Attempts = state.Phase == RequestPhase.Dispatched ? state.Attempts - 1 : state.Attempts,
            Holders = state.Holders.RemoveAll(holder => holder.Epoch == state.Epoch),
            Leases = [],
            Error = e.Code,
            ErrorMessage = e.Message,
        };
        return Plan(state, [.. state.Excluded.Union(e.Refusers)], releases);
    }

    private RequestTransition OnTick(RequestState state, ClockTicked e)
    {
        if (state.DueAt is not { } due || e.At < due)
            return Ignore(state);
        if (e.At >= state.Deadline)
        {
            return Fail(state, e.At, ErrorCode.DeadlineExceeded,
                $"The request was not finished by its deadline {state.Deadline:O}; it was {state.Phase}.");
        }

        if (state.Migration is { } migration && e.At >= migration.Until)
            return AskWhetherCommitted(state);
        return e.At >= state.WaitUntil ? FailForWantOfWorkers(state, e.At) : LookAgain(state);
    }

    /// <summary>
    /// Leases answered for after their plan was given up: nobody else will ever release them. Told twice of a live
    /// plan, they are accounted for and stay.
    /// </summary>
    private static RequestTransition GiveBack(RequestState state, RoutePlan plan) =>
        state.IsLive && plan.Epoch == state.Epoch
            ? Ignore(state)
            : new RequestTransition(state, [.. LeaseHold.Of(plan).Select(lease => new ReleaseLease(lease))]);

    private static RequestTransition Ignore(RequestState state) => new(state, []);

    private static RequestEffect[] ReleaseAll(RequestState state) =>
        [.. state.Leases.Select(lease => new ReleaseLease(lease))];

    /// <summary>Writes what a worker reported, under its kind.</summary>
    private static RequestState Note(
        RequestState state, RequestReport report, DateTimeOffset at, int step, string what)
    {
        var noted = Note(state, step, at, report.Worker?.WorkerId, what);
        return noted.Log.Length == state.Log.Length
            ? state
            : noted with { Log = noted.Log.SetItem(noted.Log.Length - 1, noted.Log[^1] with { Kind = report.Kind }) };
    }

    private static RequestState Note(RequestState state, int step, DateTimeOffset at, string? workerId, string what) =>
        state.Log.Length < LogEntriesMax
            ? state with { Log = state.Log.Add(new RequestLogEntry(step, at, state.Epoch, workerId, what)) }
            : state;
}
