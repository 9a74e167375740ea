using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>Decides which work of one activation may start. Owns its scheduler and both its lists.</summary>
/// <remarks>
/// Lock order: a gate's lock, then a scheduler's or a successor's. Nothing is called back under the lock but
/// what <see cref="Retire"/> is given.
/// </remarks>
internal sealed class WorkGate(ICallTarget owner, bool reentrant)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Work> _waiting = new();
    private readonly LinkedList<Work> _running = new();
    private GateState _state = GateState.Held;
    private Action? _drained;

    /// <summary>The running work that others wait for. Interleaving work blocks nobody.</summary>
    private Work? _blocking;

    public TurnScheduler Scheduler { get; } = new();

    public ICallTarget Owner => owner;

    /// <summary>The lifecycle hook that holds the gate, for cycle detection.</summary>
    public Work? Holder { get; set; }

    /// <summary>Works that wait or run.</summary>
    public int Load
    {
        get
        {
            lock (_lock)
                return _waiting.Count + _running.Count;
        }
    }

    public bool IsQuiet
    {
        get
        {
            lock (_lock)
                return _state == GateState.Open && _running.Count == 0 && _waiting.Count == 0;
        }
    }

    /// <summary>Whatever enters now is only passed on.</summary>
    public bool IsEnding
    {
        get
        {
            lock (_lock)
                return _drained is not null || _state == GateState.Retired;
        }
    }

    /// <summary>Takes the work: it starts, waits, or fails with the cycle it would close.</summary>
    /// <returns>False if this gate is retired; the work is then untouched.</returns>
    public bool TryEnter(Work work)
    {
        Work? blocker;
        lock (_lock)
        {
            if (_state == GateState.Retired)
                return false;
            work.Gate = this;
            if (MayStart(work))
            {
                StartLocked(work);
                return true;
            }

            blocker = work.Parent is null ? null : FindAncestorThatBlocks(work);
            if (blocker is null)
                _waiting.AddLast(work.Node);
        }

        if (blocker is not null)
            work.Fail(GrainCallCycleException.Of(work, blocker));
        return true;
    }

    /// <summary>Takes over works of a retired gate, in order, before anybody else can know this one.</summary>
    public void Inherit(IEnumerable<Work> works)
    {
        lock (_lock)
            foreach (var work in works)
            {
                work.Gate = this;
                _waiting.AddLast(work.Node);
            }
    }

    public void Open()
    {
        lock (_lock)
        {
            _state = GateState.Open;
            // Every one is looked at: interleaving work that came while the gate was held starts beside the first.
            for (var node = _waiting.First; node is not null;)
            {
                var next = node.Next;
                StartIfAdmissible(node);
                node = next;
            }
        }
    }

    /// <summary>Lets running work end, then holds the gate and calls back. Only an open gate can be drained.</summary>
    public void Drain(Action drained)
    {
        lock (_lock)
        {
            if (_state != GateState.Open)
                return;
            _state = GateState.Draining;
            _drained = drained;
            if (_running.Count > 0)
                return;
            _state = GateState.Held;
        }

        drained();
    }

    /// <summary>Ends the gate for ever.</summary>
    /// <param name="takeWaiting">Gets what still waits, under the lock: whoever finds the gate retired also
    /// finds what this has put in its place, and no later work overtakes an earlier one.</param>
    public void Retire(Action<IReadOnlyList<Work>> takeWaiting)
    {
        lock (_lock)
        {
            Work[] waiting = [.. _waiting];
            _waiting.Clear();
            _state = GateState.Retired;
            takeWaiting(waiting);
        }
    }

    public void Leave(Work work)
    {
        Action? drained = null;
        lock (_lock)
        {
            _running.Remove(work.Node);
            if (_blocking == work)
                _blocking = null;
            // An open gate makes only blocked work wait, and one start blocks the rest again.
            if (_state == GateState.Open && _waiting.First is { } next)
                StartIfAdmissible(next);
            else if (_state == GateState.Draining && _running.Count == 0)
            {
                _state = GateState.Held;
                drained = _drained;
            }
        }

        drained?.Invoke();
    }

    /// <summary>Takes waiting work out again.</summary>
    /// <returns>False if it has started.</returns>
    public bool TryWithdraw(Work work)
    {
        lock (_lock)
        {
            if (work.Node.List != _waiting)
                return false;
            _waiting.Remove(work.Node);
            return true;
        }
    }

    public bool RunsAncestorOf(Work work)
    {
        lock (_lock)
            return work.Parent is not null && _running.Any(work.DescendsFrom);
    }

    public IReadOnlyList<Work> Expired(long now)
    {
        lock (_lock)
            return _waiting.Count + _running.Count == 0
                ? []
                : [.. _waiting.Concat(_running).Where(work => work.Deadline <= now)];
    }

    private bool MayStart(Work work) => _state switch
    {
        GateState.Open => IsAdmissible(work),
        // Running work may need a nested call back into this very activation before it can end.
        GateState.Draining => RunsAncestorOf(work) && IsAdmissible(work),
        GateState.Held or GateState.Retired => false,
        _ => throw new OrleansException($"Unknown gate state {_state}."),
    };

    private bool IsAdmissible(Work work) => reentrant || work.Interleaves || _blocking is null;

    private Work? FindAncestorThatBlocks(Work work)
    {
        var blocker = _state == GateState.Held ? Holder : _blocking;
        return blocker is not null && work.DescendsFrom(blocker) ? blocker : null;
    }

    private void StartIfAdmissible(LinkedListNode<Work> node)
    {
        if (!IsAdmissible(node.Value))
            return;
        _waiting.Remove(node);
        StartLocked(node.Value);
    }

    private void StartLocked(Work work)
    {
        _running.AddLast(work.Node);
        if (!reentrant && !work.Interleaves)
            _blocking = work;
        work.Start(Scheduler);
    }

    private enum GateState
    {
        /// <summary>A lifecycle hook runs. Work waits.</summary>
        Held,

        /// <summary>Work starts as the interleaving rules say.</summary>
        Open,

        /// <summary>Deactivation was asked for: running work and its nested calls end, other work waits.</summary>
        Draining,

        /// <summary>Takes nothing any more.</summary>
        Retired,
    }
}
