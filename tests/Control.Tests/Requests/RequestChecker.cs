using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Requests;

namespace Krewe.Control.Tests.Requests;

/// <summary>What must hold of a request machine after each event and when the world has gone quiet.</summary>
internal sealed class RequestChecker
{
    private readonly HashSet<int> _epochsDispatched = [];
    private int _failuresTold;
    private int _recordsWritten;
    private int? _finishedIn;

    /// <summary>Leases that worker grains hold.</summary>
    public HashSet<LeaseHold> Leases { get; } = [];

    /// <summary>Epochs that workers were given and that nobody has aborted.</summary>
    public HashSet<int> Dispatched { get; } = [];

    public void AfterEvent(
        RequestState before, RequestEvent happened, RequestState after, ImmutableArray<RequestEffect> effects)
    {
        if (before.IsTerminal)
        {
            Require(IsSameLife(before, after), $"{happened} changed a request that had ended: {before} -> {after}");
            Require(effects.All(effect => effect is ReleaseLease), $"{happened} did more than release after the end");
        }

        if (happened is Reported { Report: var report } && IsOfAnOldEpoch(before, report))
            Require(IsSameLife(before, after), $"{report} of an old epoch was applied to {before}");
        Require(after.Epoch >= before.Epoch, "the epoch went back");
        Require(after.Attempts <= RequestWorld.Limits.MaxAttempts, "more attempts than allowed");
        Require(!after.IsTerminal || after.Leases.IsEmpty, "a lease is noted after the end");
        Require(after.IsTerminal == after.Outcome is not null, "a terminal phase and an outcome go together");

        foreach (var effect in effects)
            Note(effect);
        if (!before.IsTerminal && after.Phase == RequestPhase.Finished)
            _finishedIn = (happened as Reported)?.Report.Epoch;
        Require(_failuresTold <= 1, "the owner was told of two failures");
        Require(_recordsWritten <= 1, "two ends were recorded");
    }

    public void AtTheEnd(RequestState state)
    {
        Require(state.IsTerminal, $"the request never ended: it is {state.Phase}");
        Require(Leases.Count == 0, $"held after the end: {string.Join(", ", Leases)}");
        Require(Dispatched.All(epoch => epoch == _finishedIn),
            $"epochs {string.Join(", ", Dispatched)} were neither aborted nor finished");
        Require(state.Attempts == 0 || _recordsWritten == 1, "the end was not recorded");
        Require(state.Attempts == 0 || state.Phase == RequestPhase.Finished || _failuresTold == 1,
            "the owner was not told of the failure");
    }

    private static bool IsOfAnOldEpoch(RequestState state, RequestReport report) =>
        report.Epoch != state.Epoch
        // The owner fences by itself: see RequestMachine.
        && !(report.Kind == RequestReportKind.Finished && report.Epoch < state.Epoch)
        && report.Epoch != state.Migration?.Plan.Epoch;

    private static bool IsSameLife(RequestState a, RequestState b) =>
        a.Phase == b.Phase && a.Epoch == b.Epoch && a.Plan == b.Plan && a.Attempts == b.Attempts
        && a.Outcome == b.Outcome && a.Error == b.Error && a.FinishReason == b.FinishReason
        && a.BlocksMoved == b.BlocksMoved && a.OutputTokens == b.OutputTokens;

    private void Note(RequestEffect effect)
    {
        switch (effect)
        {
            case Dispatch dispatch:
                var epoch = dispatch.Plan.Epoch;
                Require(_epochsDispatched.Add(epoch), $"epoch {epoch} was dispatched twice");
                Require(Dispatched.Count == 0, $"epoch {epoch} was dispatched beside {string.Join(", ", Dispatched)}");
                Require(LeaseHold.Of(dispatch.Plan).All(Leases.Contains), $"epoch {epoch} was dispatched unleased");
                Dispatched.Add(epoch);
                break;
            case DispatchMigration migrate:
                epoch = migrate.Plan.Epoch;
                Require(_epochsDispatched.Add(epoch), $"epoch {epoch} was dispatched twice");
                Require(Dispatched.Count <= 1, $"epoch {epoch} was begun beside {string.Join(", ", Dispatched)}");
                Require(LeaseHold.Of(migrate.Plan).All(Leases.Contains), $"epoch {epoch} was begun unleased");
                Dispatched.Add(epoch);
                break;
            case AbortMigration abort:
                Dispatched.Remove(abort.Plan.Epoch);
                break;
            case Abort abort:
                Dispatched.Remove(abort.Plan.Epoch);
                break;
            case TellFailure:
                _failuresTold++;
                break;
            case PersistRecord:
                _recordsWritten++;
                break;
            default:
                break;
        }
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
            throw new InvalidOperationException(otherwise);
    }
}
