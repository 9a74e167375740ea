using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>
/// While the device decodes, the next step is queued behind before the tokens are known: they are its input where they
/// are, and the host reads them one step late. Only where the next plan is certain: every running sequence decodes one
/// row and nothing happened. A sequence that turns out to have ended leaves one row that counts for nothing: its KV
/// lies behind what was ever counted, in blocks whose next use is queued behind it, and draws go by position.
/// Invariant: while a step is under way no command is applied and nothing is planned.
/// </summary>
internal sealed partial class Engine
{
    /// <summary>Steps without a plan while somebody waits for room: what a plan weighs changes slowly.</summary>
    private const int UnplannedStepsMax = 16;

    /// <summary>The step under way; null for none.</summary>
    private StepFlight? _ahead;

    private readonly Stack<StepFlight> _idleFlights = new();
    private long _settledAt;

    /// <summary>Steps that were queued before the tokens of the one before were known.</summary>
    internal long StepsAhead { get; private set; }

    /// <summary>Queues the planned step and leaves it under way, where the next one can be queued behind it.</summary>
    private bool TryBeginAhead()
    {
        if (!_compute.RunsAhead || _hold is not null || _outgoing.Count > 0) return false;
        if (_planned.Count != _running.Count || _plan.Admitted.Count > 0) return false;
        foreach (var part in _planned)
        {
            if (!DrawsOnDevice(part)) return false;
        }

        var flight = TakeFlight();
        flight.Parts.AddRange(_planned);
        flight.Unplanned = _waiting.Count == 0 ? null : 0;
        if (!TryQueue(flight, before: null)) return false;
        _ahead = flight;
        return true;
    }

    private static bool DrawsOnDevice(in StepPart part)
    {
        var sequence = part.Sequence;
        return part.Rows == 1 && sequence.ComputedTokens + 1 == sequence.KnownTokens && sequence.Grows
            && sequence.Restore is null && TokenSampler.DrawOf(sequence) is not null;
    }

    /// <summary>A step is under way: queues the next behind it, where that is certain, and takes its tokens.</summary>
    private void GoOn()
    {
        var flight = _ahead!;
        _ahead = null;
        if (_commands.IsEmpty && !_stopping && _outgoing.Count == 0) _ahead = TryFollow(flight);
        if (_ahead is not null) StepsAhead++;
        Settle(flight);
    }

    /// <summary>Before anything changes but by the step itself: takes its tokens and queues none behind.</summary>
    private void SettleAhead()
    {
        if (_ahead is not { } flight) return;
        _ahead = null;
        Settle(flight);
    }

    private StepFlight? TryFollow(StepFlight before)
    {
        var flight = TakeFlight();
        var ended = false;
        foreach (var part in before.Parts)
        {
            var sequence = part.Sequence;
            if (sequence.Stage != SequenceStage.Running) ended = true;
            else if (!EndsByLength(sequence)) flight.Parts.Add(PartOf(sequence, 1));
        }

        // Whoever waits gets the room of whoever ended: that takes a plan.
        flight.Unplanned = before.Unplanned + 1;
        var needsPlan = flight.Unplanned is { } steps && (ended || steps > UnplannedStepsMax);
        if (flight.Parts.Count > 0 && !needsPlan && GrowAhead(flight) && TryQueue(flight, before))
            return flight;
        Return(flight);
        return null;
    }

    /// <summary>The token under way is the sequence's last, whatever it is.</summary>
    private bool EndsByLength(Sequence sequence) =>
        sequence.OutputCount + 1 >= sequence.OutputMax || sequence.KnownTokens + 1 >= _runner.MaxContextTokens;

    /// <summary>Blocks for one token more than is known. What was given stays when there are too few: the next plan
    /// needs it.</summary>
    private bool GrowAhead(StepFlight flight)
    {
        foreach (var part in flight.Parts)
        {
            if (!_kv.TryGrow(part.Sequence, _kv.BlocksFor(part.Sequence.KnownTokens + 1))) return false;
        }

        return true;
    }

    private bool TryQueue(StepFlight flight, StepFlight? before)
    {
        flight.QueuedAt = _time.GetTimestamp();
        if (_compute.TryQueue(flight, before)) return true;
        if (before is null) Return(flight);
        return false;
    }

    /// <summary>Waits for the step and does what follows from its tokens.</summary>
    private void Settle(StepFlight flight)
    {
        var isSound = _compute.TryFinish(flight);
        _planned.Clear();
        foreach (var part in flight.Parts)
        {
            if (part.Sequence.Stage == SequenceStage.Running)
                _planned.Add(isSound ? part : PartOf(part.Sequence, 1));
        }

        Return(flight);
        if (!isSound)
        {
            Repeat();
            return;
        }

        var work = WorkOfPlanned();
        foreach (ref var part in CollectionsMarshal.AsSpan(_planned)) Advance(part);

        // Its time on the device begins when the step before it has ended.
        var begun = Math.Max(flight.QueuedAt, _settledAt);
        _settledAt = _time.GetTimestamp();
        var ms = _time.GetElapsedTime(begun, _settledAt).TotalMilliseconds;
        CountStep(ms);
        if (_planned.Count > 0) _stepTime.Observe(work, ms);
    }

    /// <summary>
    /// A step under way failed. The one behind it went on from nothing and is dropped; this one is computed again, and
    /// a fault narrowed down to its sequences. Exactness makes that invisible: same rows, same bits, same slots.
    /// </summary>
    private void Repeat()
    {
        _compute.Abandon();
        if (_ahead is { } behind) Return(behind);
        _ahead = null;
        if (_planned.Count > 0) ComputeNow();
    }

    private StepFlight TakeFlight() => _idleFlights.TryPop(out var flight) ? flight : _compute.CreateFlight();

    private void Return(StepFlight flight)
    {
        flight.Parts.Clear();
        _idleFlights.Push(flight);
    }
}
