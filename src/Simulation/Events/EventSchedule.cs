namespace Krewe.Simulation;

/// <summary>
/// Virtual time: actions in order of (time, order of scheduling). Equal times keep the order in which they were
/// scheduled, so a run is a pure function of its inputs. The clock never goes back.
/// </summary>
/// <typeparam name="TTime">double milliseconds for DistServe's fits, integer nanoseconds elsewhere.</typeparam>
public sealed class EventSchedule<TTime>
    where TTime : struct, IComparable<TTime>
{
    private readonly PriorityQueue<Action, (TTime Time, long Order)> _queue = new();
    private long _order;

    /// <summary>Time of the action that runs now, or of the last one.</summary>
    public TTime Now { get; private set; }

    /// <summary>When the next action runs; null when none is left.</summary>
    public TTime? NextTime => _queue.TryPeek(out _, out var key) ? key.Time : null;

    /// <summary>
    /// Runs <paramref name="action"/> at <paramref name="time"/>, after all that was scheduled for it before.
    /// </summary>
    public void At(TTime time, Action action)
    {
        if (time.CompareTo(Now) < 0)
            throw new ArgumentOutOfRangeException(nameof(time), time, $"Scheduled before the present ({Now}).");
        _queue.Enqueue(action, (time, _order++));
    }

    /// <summary>Runs <paramref name="action"/> now, but after everything already scheduled for this instant.</summary>
    public void AfterThisInstant(Action action) => At(Now, action);

    /// <summary>Runs one action; false when none is left.</summary>
    public bool Step()
    {
        if (!_queue.TryDequeue(out var action, out var key)) return false;
        Now = key.Time;
        action();
        return true;
    }

    /// <summary>Runs until nothing is scheduled. Returns how many actions ran.</summary>
    public long RunToEnd()
    {
        var actions = 0L;
        while (Step()) actions++;
        return actions;
    }
}
