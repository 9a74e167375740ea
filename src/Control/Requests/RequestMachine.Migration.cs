using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>
/// Live migration as a request sees it: a successor epoch on another worker beside the current one. The owner of the
/// stream is the arbiter: it adopts the successor with the target's commit, or refuses it for good when it was revoked
/// before. So exactly one of the two goes on, whatever messages are lost.
/// </summary>
public sealed partial class RequestMachine
{
    /// <summary>Why this request cannot move to that worker now; null when it can.</summary>
    public static string? WhyNotMigrate(RequestState state, WorkerIncarnation target)
    {
        if (state.Plan is not { } plan || !state.IsLive) return $"it is {state.Phase}";
        if (state.Migration is { } migration) return $"it is moving to {migration.Plan.Decode} already";
        if (plan.Decode == target) return $"it runs on {target} already";
        return plan.NeedsHandoff && state.Phase != RequestPhase.Decoding ? "its KV is still being handed off" : null;
    }

    private RequestTransition OnMigrationRequested(RequestState state, MigrationRequested e)
    {
        if (WhyNotMigrate(state, e.Target) is not null) return Ignore(state);
        var plan = new RoutePlan(Math.Max(state.Epoch, state.EpochsUsed) + 1, e.Target, e.Target, 0, e.Reason);
        state = Note(state, 7, e.At, e.Target.WorkerId, $"migration from {state.Plan!.Decode} wanted: {e.Reason}");
        return new RequestTransition(
            state with
            {
                EpochsUsed = plan.Epoch,
                Migration = new MigrationHold(plan, IsDispatched: false, e.At, e.At + limits.MigrationLimit),
                Leases = state.Leases.AddRange(LeaseHold.Of(plan)),
            },
            [new AcquireLeases(plan)]);
    }

    private static bool IsMigration(RequestState state, int epoch) => state.Migration?.Plan.Epoch == epoch;

    private static RequestTransition OnMigrationLeased(RequestState state)
    {
        var migration = state.Migration!;
        if (migration.IsDispatched) return Ignore(state); // told twice
        var source = state.Plan!;
        return new RequestTransition(
            state with
            {
                Migration = migration with { IsDispatched = true },
                Holders = state.Holders.Add(new AttemptHolder(migration.Plan.Epoch, migration.Plan.Decode)),
            },
            [new DispatchMigration(migration.Plan, source.Decode, source.Epoch)]);
    }

    private RequestTransition OnMigrationRefused(RequestState state, PlanRefused e)
    {
        state = state with { Holders = state.Holders.RemoveAll(holder => holder.Epoch == e.Plan.Epoch) };
        return EndMigration(state, e.At, e.Message);
    }

    /// <summary>What is told of the successor's epoch.</summary>
    private RequestTransition OnMigrationReport(
        RequestState state, RequestReport report, DateTimeOffset at, RequestEffect[] releases)
    {
        var step = report.Kind switch
        {
            RequestReportKind.MigrationCommitted => OnMigrated(state, report, at),
            RequestReportKind.MigrationStarted => Progress(state, report, at, 7, "migration started: blocks reserved"),
            RequestReportKind.MigrationAborted or RequestReportKind.AttemptFailed or RequestReportKind.WorkerLost
                or RequestReportKind.Released =>
                EndMigration(state, at, report.Message ?? "the target let go"),
            _ => Ignore(state),
        };
        return step with { Effects = [.. releases, .. step.Effects] };
    }

    /// <summary>The stream has adopted the successor: the source may only free.</summary>
    private static RequestTransition OnMigrated(RequestState state, RequestReport report, DateTimeOffset at)
    {
        var (migration, old) = (state.Migration!, state.Plan!);
        var former = state.Leases.Where(lease => lease.Epoch != migration.Plan.Epoch).ToArray();
        state = Note(state, report with { Worker = migration.Plan.Decode }, at, 7, FormattableString.Invariant(
            $"migrated from {old.Decode}: {report.BlocksMoved} blocks, {report.BytesMoved} bytes, ")
            + FormattableString.Invariant($"{(at - migration.StartedAt).TotalMilliseconds:F0} ms in all"));
        state = state with
        {
            Phase = RequestPhase.Decoding,
            Epoch = migration.Plan.Epoch,
            Plan = migration.Plan,
            Migration = null,
            Migrations = state.Migrations + 1,
            MigratedAt = at,
            Leases = state.Leases.RemoveAll(lease => lease.Epoch != migration.Plan.Epoch),
            BlocksMoved = state.BlocksMoved + report.BlocksMoved,
            BytesMoved = state.BytesMoved + report.BytesMoved,
        };

        // The source frees by the target's commit; when that got lost this ends it.
        return new RequestTransition(
            state, [new Abort(old, "it was migrated"), .. former.Select(lease => new ReleaseLease(lease))]);
    }

    /// <summary>It stays where it is; when that worker is gone meanwhile, another attempt follows.</summary>
    private RequestTransition EndMigration(RequestState state, DateTimeOffset at, string reason)
    {
        if (state.Migration is not { } migration) return Ignore(state);
        var (dropped, effects) = DropMigration(state);
        var told = new RequestReport
        {
            Kind = RequestReportKind.MigrationAborted,
            Epoch = migration.Plan.Epoch,
            Worker = migration.Plan.Decode,
        };
        dropped = Note(dropped, told, at, 7, $"migration given up: {reason}");
        if (migration.SourceLoss is not { } loss) return new RequestTransition(dropped, effects);
        var given = GiveUpAttempt(
            dropped, at, loss.Error ?? ErrorCode.WorkerLost,
            loss.Message ?? "the source let go and no target took over", loss.Worker,
            loss.Worker is { } worker ? [worker] : []);
        return given with { Effects = [.. effects, .. given.Effects] };
    }

    /// <summary>The worker that decodes is lost, or has let go, while a migration off it is under way.</summary>
    private static bool IsSourceGone(RequestState state, RequestReport report) =>
        state.Migration is { IsDispatched: true } && report.Epoch == state.Epoch && report.Worker == state.Plan!.Decode
        && (report.Kind is RequestReportKind.WorkerLost or RequestReportKind.Released);

    /// <summary>
    /// It may have let go because its target has everything: the two speak over links of their own, and the source's
    /// word may be here first. The target's word decides, or a short wait ends in <see cref="AskWhetherCommitted"/>.
    /// </summary>
    private RequestTransition AwaitVerdict(
        RequestState state, RequestReport report, DateTimeOffset at, RequestEffect[] releases)
    {
        var migration = state.Migration!;
        var until = at + limits.VerdictWait;
        state = state with
        {
            Migration = migration with
            {
                SourceLoss = migration.SourceLoss ?? report,
                Until = until < migration.Until ? until : migration.Until,
            },
        };
        return new RequestTransition(state, [.. releases]);
    }

    /// <summary>Forgets the successor: whatever its worker says from now on is void, and it is told to free.</summary>
    private static (RequestState State, ImmutableArray<RequestEffect> Effects) DropMigration(RequestState state)
    {
        if (state.Migration is not { } migration) return (state, []);
        var leases = state.Leases.Where(lease => lease.Epoch == migration.Plan.Epoch).ToArray();
        ImmutableArray<RequestEffect> effects = [.. leases.Select(lease => new ReleaseLease(lease))];
        if (migration.IsDispatched) effects = effects.Insert(0, new AbortMigration(migration.Plan, "it is given up"));
        return (
            state with
            {
                Migration = null,
                Leases = state.Leases.RemoveAll(lease => lease.Epoch == migration.Plan.Epoch),
            },
            effects);
    }

    /// <summary>
    /// Time is up while the target may just have committed: only the owner of the stream knows.
    /// It answers with <see cref="MigrationRevoked"/>, or the target's commit is on its way here.
    /// </summary>
    private static RequestTransition AskWhetherCommitted(RequestState state)
    {
        var migration = state.Migration! with { Until = DateTimeOffset.MaxValue };
        return new RequestTransition(
            state with { Migration = migration }, [new RevokeMigration(migration.Plan)]);
    }

    private RequestTransition OnMigrationRevoked(RequestState state, MigrationRevoked e) =>
        IsMigration(state, e.Epoch) ? EndMigration(state, e.At, "it took too long") : Ignore(state);

    /// <summary>
    /// The worker must be left and the KV cannot leave it in time: computed again elsewhere, from the tokens that the
    /// owner has. Costs no attempt: nothing went wrong.
    /// </summary>
    private RequestTransition OnEvicted(RequestState state, EvictionRequested e)
    {
        if (!state.IsLive || state.Plan is not { } plan || (plan.Prefill != e.Worker && plan.Decode != e.Worker)
            || IsDispensable(state, e.Worker))
        {
            return Ignore(state);
        }

        return GiveUpUncounted(state, e.At, e.Reason, e.Worker);
    }

    /// <summary>
    /// A worker that drains is left, or takes nothing: that costs no attempt, since nothing went wrong, but the next
    /// one goes elsewhere. One attempt stays counted: a request that was dispatched once waits for a worker.
    /// </summary>
    private RequestTransition GiveUpUncounted(
        RequestState state, DateTimeOffset at, string reason, WorkerIncarnation? worker) => GiveUpAttempt(
        state with { Attempts = Math.Max(1, state.Attempts - 1) }, at, ErrorCode.Draining, reason, worker,
        worker is { } left ? [left] : []);
}
