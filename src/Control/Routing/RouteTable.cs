using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// All workers that one router knows, in the order of their ids, so that equal clusters look equal to a policy. Not
/// thread-safe: whoever owns it calls policies and applies reports under one lock.
/// </summary>
public sealed class RouteTable
{
    private readonly SortedList<string, RouteWorker> _workers = new(StringComparer.Ordinal);
    private readonly Stack<int> _freeSlots = new();
    private RouteWorker[] _ordered = [];
    private int _slotsUsed;

    /// <summary>In the order of their ids.</summary>
    public ReadOnlySpan<RouteWorker> Workers => _ordered;

    /// <summary>
    /// Adds a worker, ready and idle; <paramref name="create"/> is given its slot. An older incarnation of the same id
    /// leaves first.
    /// </summary>
    public RouteWorker Add(Func<int, RouteWorker> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        var slot = _freeSlots.Count > 0 ? _freeSlots.Pop() : _slotsUsed++;
        var worker = create(slot);
        if (worker.Slot != slot)
            throw new ArgumentException($"The worker took slot {worker.Slot}, not {slot}.", nameof(create));
        Remove(worker.Worker.WorkerId);
        _workers.Add(worker.Worker.WorkerId, worker);
        _ordered = [.. _workers.Values];
        return worker;
    }

    /// <summary>False when there is no such worker.</summary>
    public bool Remove(string workerId)
    {
        if (!_workers.Remove(workerId, out var gone)) return false;
        gone.State = WorkerState.Lost;
        _freeSlots.Push(gone.Slot);
        _ordered = [.. _workers.Values];
        return true;
    }

    /// <summary>The worker in this slot; null when it has left.</summary>
    public RouteWorker? At(int slot) => Array.Find(_ordered, worker => worker.Slot == slot);

    public bool TryFind(string workerId, [NotNullWhen(true)] out RouteWorker? worker) =>
        _workers.TryGetValue(workerId, out worker);
}
