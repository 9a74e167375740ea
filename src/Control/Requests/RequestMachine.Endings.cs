using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

public sealed partial class RequestMachine
{
    /// <summary>Ends a live attempt: another one follows, or the request fails.</summary>
    private RequestTransition GiveUpAttempt(
        RequestState state,
        DateTimeOffset at,
        ErrorCode code,
        string message,
        WorkerIncarnation? worker,
        ImmutableArray<WorkerIncarnation> excluded)
    {
        (state, var dropped) = DropMigration(state);
        var told = new RequestReport { Kind = RequestReportKind.AttemptFailed, Epoch = state.Epoch, Worker = worker };
        state = Note(state, told, at, StepOf(state.Phase), $"attempt given up, {code}: {message}");
        var given = GiveUpAlone(state, at, code, message, excluded);
        return given with { Effects = [.. dropped, .. given.Effects] };
    }

    private RequestTransition GiveUpAlone(
        RequestState state, DateTimeOffset at, ErrorCode code, string message,
        ImmutableArray<WorkerIncarnation> excluded)
    {
        if (!ErrorCatalog.Describe(code).Retryable)
            return Fail(state, at, code, message);
        if (state.Attempts >= limits.MaxAttempts)
        {
            return Fail(state, at, ErrorCode.AttemptsExhausted,
                $"{state.Attempts} of {limits.MaxAttempts} attempts failed; the last by {code}: {message}");
        }

        RequestEffect[] undo = [new Abort(state.Plan!, message), .. ReleaseAll(state)];
        state = state with { Leases = [], WaitUntil = null, Error = code, ErrorMessage = message };
        return Plan(state, excluded, undo);
    }

    private static RequestTransition OnFinished(RequestState state, RequestReport report, DateTimeOffset at)
    {
        // Decode that has said its last token frees by itself. In every other phase somebody still waits or computes:
        // prefill ended the stream and decode waits for blocks, or a newer attempt is under way.
        var abort = state.IsLive && (state.Phase != RequestPhase.Decoding || report.Epoch != state.Epoch);
        state = state with { FinishReason = report.FinishReason };
        return End(state, at, RequestPhase.Finished, RequestOutcome.Finished, null, null, abort);
    }

    private static RequestTransition OnCancel(RequestState state, CancelRequested e)
    {
        if (state.IsTerminal)
            return Ignore(state);
        state = state with
        {
            FinishReason = e.FinishReason,
            OutputTokens = Math.Max(state.OutputTokens, e.OutputTokens),
        };
        var abort = state.IsLive;
        return e.Outcome switch
        {
            RequestOutcome.Finished =>
                End(state, e.At, RequestPhase.Finished, RequestOutcome.Finished, null, null, abort),
            RequestOutcome.Failed => Fail(state, e.At, ErrorCode.Internal, e.Reason),
            RequestOutcome.Cancelled => End(
                state, e.At, RequestPhase.Cancelled, RequestOutcome.Cancelled,
                ErrorCode.ClientClosedRequest, e.Reason, abort),
            _ => throw new ArgumentOutOfRangeException(nameof(e), e.Outcome, "An outcome that is not known."),
        };
    }

    private RequestTransition FailForWantOfWorkers(RequestState state, DateTimeOffset at) =>
        Fail(state, at, ErrorCode.NoWorkers,
            $"No worker took the request within {limits.WorkerWait.TotalSeconds} s after its last attempt was given up "
            + $"({state.Error}: {state.ErrorMessage}).");

    private static RequestTransition Fail(RequestState state, DateTimeOffset at, ErrorCode code, string message) =>
        End(state, at, RequestPhase.Failed, RequestOutcome.Failed, code, message, state.IsLive);

    /// <summary>The one way into a terminal phase.</summary>
    private static RequestTransition End(
        RequestState state,
        DateTimeOffset at,
        RequestPhase phase,
        RequestOutcome outcome,
        ErrorCode? code,
        string? message,
        bool abort)
    {
        var what = message is null ? $"{outcome} ({state.FinishReason})" : $"{outcome}, {code}: {message}";
        var effects = ImmutableArray.CreateBuilder<RequestEffect>();
        (state, var dropped) = DropMigration(state);
        effects.AddRange(dropped);
        if (abort)
            effects.Add(new Abort(state.Plan!, what));
        // Before anything was dispatched the answer of the start itself carries the error, and there is no life to
        // keep.
        if (state.Attempts > 0 && code is { } error)
            effects.Add(new TellFailure(error, message!));
        effects.AddRange(ReleaseAll(state));
        if (state.Attempts > 0)
            effects.Add(new PersistRecord());

        var step = outcome == RequestOutcome.Finished ? 9 : StepOf(state.Phase);
        state = state with
        {
            Phase = phase,
            Outcome = outcome,
            Error = code,
            ErrorMessage = message,
            WaitUntil = null,
            RetryAt = null,
            Leases = [],
            // Appended even to a full log: a life without its end cannot be explained.
            Log = state.Log.Add(new RequestLogEntry(step, at, state.Epoch, null, what)),
        };
        return new RequestTransition(state, effects.ToImmutable());
    }

    /// <summary>The step of the nine that a request is in.</summary>
    private static int StepOf(RequestPhase phase) => phase switch
    {
        RequestPhase.Received => 2,
        RequestPhase.Planning or RequestPhase.Leasing or RequestPhase.WaitingForWorker => 3,
        RequestPhase.Dispatched => 4,
        RequestPhase.HandingOff => 5,
        RequestPhase.Decoding => 7,
        RequestPhase.Finished or RequestPhase.Failed or RequestPhase.Cancelled => 9,
        _ => throw new ArgumentOutOfRangeException(nameof(phase), phase, "A phase without a step."),
    };
}
