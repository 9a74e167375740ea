namespace Krewe.Simulation;

/// <summary>What happens at one instant; plain data, so that a million events cost no allocation.</summary>
/// <param name="TimeNs">When, virtual ns.</param>
/// <param name="Order">Number of scheduling: equal times happen in the order in which they were scheduled.</param>
/// <param name="Kind">The simulator's own code for what happens.</param>
/// <param name="Subject">To which worker, sequence or flow.</param>
/// <param name="Version">For the subject to tell an event that was overtaken by a later decision.</param>
public readonly record struct SimulatedEvent(long TimeNs, long Order, int Kind, int Subject, int Version);

/// <summary>
/// Events in order of (time, order of scheduling), as a four-way heap: shallower than a binary one, and its four
/// children lie in two cache lines. The clock never goes back.
/// </summary>
public sealed class EventHeap
{
    private const int Arity = 4;

    private SimulatedEvent[] _heap = new SimulatedEvent[1024];
    private long _order;

    /// <summary>Time of the event taken last, ns.</summary>
    public long NowNs { get; private set; }

    public int Count { get; private set; }

    /// <summary>Schedules an event that is not before <see cref="NowNs"/>.</summary>
    public void Add(long timeNs, int kind, int subject, int version = 0)
    {
        if (timeNs < NowNs)
            throw new ArgumentOutOfRangeException(nameof(timeNs), timeNs, $"Scheduled before the present ({NowNs}).");
        if (Count == _heap.Length) Array.Resize(ref _heap, 2 * Count);
        Rise(Count++, new SimulatedEvent(timeNs, _order++, kind, subject, version));
    }

    /// <summary>Takes the next event and moves the clock to it; false when none is left.</summary>
    public bool TryTake(out SimulatedEvent next)
    {
        if (Count == 0)
        {
            next = default;
            return false;
        }

        next = _heap[0];
        NowNs = next.TimeNs;
        var last = _heap[--Count];
        if (Count > 0) Sink(last);
        return true;
    }

    private static bool Before(in SimulatedEvent a, in SimulatedEvent b) =>
        a.TimeNs < b.TimeNs || (a.TimeNs == b.TimeNs && a.Order < b.Order);

    private void Rise(int at, in SimulatedEvent added)
    {
        while (at > 0)
        {
            var parent = (at - 1) / Arity;
            if (!Before(added, _heap[parent])) break;
            _heap[at] = _heap[parent];
            at = parent;
        }

        _heap[at] = added;
    }

    private void Sink(in SimulatedEvent moved)
    {
        var at = 0;
        while (true)
        {
            var first = (Arity * at) + 1;
            if (first >= Count) break;
            var least = first;
            var end = Math.Min(first + Arity, Count);
            for (var child = first + 1; child < end; child++)
            {
                if (Before(_heap[child], _heap[least])) least = child;
            }

            if (!Before(_heap[least], moved)) break;
            _heap[at] = _heap[least];
            at = least;
        }

        _heap[at] = moved;
    }
}
