using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

public sealed partial class RequestMachine
{
    private RequestTransition OnReport(RequestState state, RequestReport report, DateTimeOffset at)
    {
        // Told of any epoch, also after the end: they only say that somebody holds less.
        RequestEffect[] releases = [];
        if (report is { Kind: RequestReportKind.Released or RequestReportKind.WorkerLost, Worker: { } worker })
            (state, releases) = ForgetHolder(state, new AttemptHolder(report.Epoch, worker), report.Kind, at);
        if (IsMigration(state, report.Epoch))
            return OnMigrationReport(state, report, at, releases);
        if (IsSourceGone(state, report))
            return AwaitVerdict(state, report, at, releases);
        if (report.Kind == RequestReportKind.Released)
            return OnReleased(state, report, at, releases);

        if (state.IsTerminal)
            return new RequestTransition(state, [.. releases]);
        if (!IsCurrent(state, report))
        {
            state = state with { StaleReports = state.StaleReports + 1 };
            return new RequestTransition(state, [.. releases]);
        }

        // The next attempt computes the output so far once more: routing must know how much that is.
        state = state with { OutputTokens = Math.Max(state.OutputTokens, report.OutputTokens) };
        return report.Kind switch
        {
            RequestReportKind.Accepted => Progress(state, report, at, StepOfPart(state, report), "queued"),
            RequestReportKind.PrefillStarted =>
                Progress(state with { PrefixHitTokens = report.PrefixHitTokens }, report, at, 4,
                    DescribePrefill(report)),
            RequestReportKind.PrefillFinished => Progress(state, report, at, 4, "prefill finished"),
            RequestReportKind.HandoffStarted => Progress(
                state with
                {
                    Phase = state.Phase == RequestPhase.Dispatched ? RequestPhase.HandingOff : state.Phase,
                },
                report, at, 5, "handoff started"),
            RequestReportKind.HandoffCommitted => OnCommitted(state, report, at),
            RequestReportKind.DecodeStarted =>
                Progress(state with { Phase = RequestPhase.Decoding }, report, at, 7, "decode started"),
            RequestReportKind.FirstToken => Progress(state, report, at, 8, "first token taken by the owner"),
            RequestReportKind.Finished => OnFinished(state, report, at),
            RequestReportKind.AttemptFailed => OnAttemptFailed(state, report, at),
            RequestReportKind.WorkerLost => OnWorkerLost(state, report, at, releases),
            RequestReportKind.MigrationStarted or RequestReportKind.MigrationCommitted
                or RequestReportKind.MigrationAborted => Ignore(state), // of a successor that is settled already
            RequestReportKind.Released or _ => throw new ArgumentOutOfRangeException(
                nameof(report), report.Kind, "A report that the request machine does not know."),
        };
    }

    /// <summary>
    /// Decode says this last of all, behind its last token. When the owner does not have that token, messages were lost
    /// on the way, and waiting for the deadline would help nobody (found by the fault simulator).
    /// </summary>
    private RequestTransition OnReleased(
        RequestState state, RequestReport report, DateTimeOffset at, RequestEffect[] releases)
    {
        // Before it owns the sequence it lets go for a good reason too: prefill's first token ended the stream.
        if (state.Phase != RequestPhase.Decoding || report.Epoch != state.Epoch || report.Worker != state.Plan!.Decode)
            return new RequestTransition(state, [.. releases]);
        var given = GiveUpAttempt(
            state, at, ErrorCode.WorkerLost, "decode has let go, but its last token never came", report.Worker, []);
        return given with { Effects = [.. releases, .. given.Effects] };
    }

    /// <summary>
    /// Workers speak for their own epoch only. The owner fences by itself: when it has the last token, of whatever
    /// epoch, the request is finished even if a newer attempt was begun meanwhile.
    /// </summary>
    private static bool IsCurrent(RequestState state, RequestReport report) => report.Kind switch
    {
        RequestReportKind.Finished or RequestReportKind.FirstToken =>
            state.Attempts > 0 && report.Epoch <= state.Epoch,
        RequestReportKind.Accepted or RequestReportKind.PrefillStarted or RequestReportKind.PrefillFinished
            or RequestReportKind.HandoffStarted or RequestReportKind.HandoffCommitted
            or RequestReportKind.DecodeStarted or RequestReportKind.AttemptFailed or RequestReportKind.WorkerLost
            or RequestReportKind.MigrationStarted or RequestReportKind.MigrationCommitted
            or RequestReportKind.MigrationAborted =>
            state.IsLive && report.Epoch == state.Epoch,
        RequestReportKind.Released or _ => throw new ArgumentOutOfRangeException(
            nameof(report), report.Kind, "A report that has no epoch rule."),
    };

    private static (RequestState State, RequestEffect[] Releases) ForgetHolder(
        RequestState state, AttemptHolder holder, RequestReportKind kind, DateTimeOffset at)
    {
        if (!state.Holders.Contains(holder))
            return (state, []);
        if (kind == RequestReportKind.Released)
        {
            var step = state.Plan is { NeedsHandoff: true } plan && plan.Prefill == holder.Worker ? 6 : 9;
            state = Note(state, step, at, holder.Worker.WorkerId, $"holds nothing of epoch {holder.Epoch} any more");
        }

        RequestEffect[] releases =
        [
            .. state.Leases
                .Where(lease => lease.Epoch == holder.Epoch && lease.Worker == holder.Worker)
                .Select(lease => new ReleaseLease(lease)),
        ];
        return (state with
        {
            Holders = state.Holders.Remove(holder),
            Leases = state.Leases.RemoveAll(
                lease => lease.Epoch == holder.Epoch && lease.Worker == holder.Worker),
        }, releases);
    }

    /// <summary>Writes the log entry, once however often it is told.</summary>
    private static RequestTransition Progress(
        RequestState state, RequestReport report, DateTimeOffset at, int step, string what) =>
        new(IsNoted(state, report, step, what) ? state : Note(state, report, at, step, what), []);

    private static string DescribePrefill(RequestReport report) => report.RestoredBlocks == 0
        ? $"prefill started; {report.PrefixHitTokens} tokens were in the prefix cache"
        : $"prefill started; {report.PrefixHitTokens} tokens were in the prefix cache, {report.RestoredBlocks} "
            + "blocks of them restored from a lower tier";

    private static bool IsNoted(RequestState state, RequestReport report, int step, string what) =>
        state.Log.Any(entry => entry.Epoch == state.Epoch && entry.Step == step && entry.What == what
            && entry.WorkerId == report.Worker?.WorkerId);

    private static RequestTransition OnCommitted(RequestState state, RequestReport report, DateTimeOffset at)
    {
        var what = $"handoff committed: {report.BlocksMoved} blocks, {report.BytesMoved} bytes";
        if (IsNoted(state, report, 6, what))
            return Ignore(state);
        state = state with
        {
            Phase = RequestPhase.Decoding,
            BlocksMoved = state.BlocksMoved + report.BlocksMoved,
            BytesMoved = state.BytesMoved + report.BytesMoved,
        };
        return Progress(state, report, at, 6, what);
    }

    private RequestTransition OnAttemptFailed(RequestState state, RequestReport report, DateTimeOffset at)
    {
        var message = report.Message ?? "the worker gave no reason";
        if (IsDispensable(state, report.Worker))
            return Progress(state, report, at, 6, $"failed after the commit, which does not matter: {message}");
        if (report.Error == ErrorCode.Draining)
            return GiveUpUncounted(state, at, message, report.Worker);
        return GiveUpAttempt(
            state, at, report.Error ?? ErrorCode.Internal, message, report.Worker, Suspect(state, report));
    }

    private RequestTransition OnWorkerLost(
        RequestState state, RequestReport report, DateTimeOffset at, RequestEffect[] releases)
    {
        var message = report.Message ?? $"the link to {report.Worker} is gone";
        if (IsDispensable(state, report.Worker))
        {
            state = Progress(state, report, at, 6, $"lost after the commit, which does not matter: {message}").State;
            return new RequestTransition(state, [.. releases]);
        }

        ImmutableArray<WorkerIncarnation> lost = report.Worker is { } worker ? [worker] : [];
        var given = GiveUpAttempt(state, at, report.Error ?? ErrorCode.WorkerLost, message, report.Worker, lost);
        return given with { Effects = [.. releases, .. given.Effects] };
    }

    private RequestTransition OnLeaseLost(RequestState state, LeaseLost e)
    {
        var lost = state.Leases.FirstOrDefault(lease => lease.Epoch == e.Epoch && lease.Worker == e.Worker);
        if (lost is not null && IsMigration(state, e.Epoch))
            return EndMigration(state, e.At, $"{e.Worker} did not renew the lease");
        if (lost is null || !state.IsLive || e.Epoch != state.Epoch)
            return Ignore(state);
        if (IsDispensable(state, e.Worker))
            return new RequestTransition(state with { Leases = state.Leases.Remove(lost) }, [new ReleaseLease(lost)]);
        return GiveUpAttempt(
            state, e.At, ErrorCode.LeaseExpired, $"{e.Worker} did not renew the lease", e.Worker, [e.Worker]);
    }

    /// <summary>True when the attempt goes on without this worker: decode owns the sequence.</summary>
    private static bool IsDispensable(RequestState state, WorkerIncarnation? worker) =>
        state.Plan is { } plan && worker is { } known && known != plan.Decode
        && (known != plan.Prefill || state.Phase == RequestPhase.Decoding);

    /// <summary>
    /// Whom the next attempt had better not use: decode speaks of its source before the silo notices.
    /// </summary>
    private static ImmutableArray<WorkerIncarnation> Suspect(RequestState state, RequestReport report) =>
        report.Error is ErrorCode.HandoffSourceLost or ErrorCode.HandoffTimeout or ErrorCode.HandoffRefused
        && state.Plan is { NeedsHandoff: true } plan && report.Worker == plan.Decode
            ? [plan.Prefill]
            : [];

    private static int StepOfPart(RequestState state, RequestReport report) =>
        state.Plan is { NeedsHandoff: true } plan && report.Worker == plan.Decode ? 5 : 4;
}
