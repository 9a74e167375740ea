using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>Several activations of one identity; a call takes a free one, else a new one, else a short queue.</summary>
/// <remarks>Lock order: the pool's lock, then a gate's. So <see cref="OnEnded"/>, called under a gate's lock, leaves
/// its work to another thread.</remarks>
internal sealed class StatelessWorkerPool(
    GrainHost host, GrainCatalog catalog, GrainClass grainClass, GrainId id, int workersMax) : IActivationOwner
{
    private readonly Lock _lock = new();
    private readonly List<Activation> _workers = [];
    private bool _retired;

    public GrainId Id => id;

    public IReadOnlyList<Activation> Activations
    {
        get
        {
            lock (_lock)
                return [.. _workers];
        }
    }

    /// <returns>False if the pool has left the catalog.</returns>
    public bool TryEnter(GrainCall call)
    {
        lock (_lock)
        {
            if (_retired)
                return false;
            return FindFor(call)?.Gate.TryEnter(call) == true || TryEnterNew(call);
        }
    }

    public void OnEnded(Activation activation, IReadOnlyList<GrainCall> waiting) =>
        ThreadPool.UnsafeQueueUserWorkItem(
            static ended => ended.Pool.Remove(ended.Activation, ended.Waiting),
            (Pool: this, Activation: activation, Waiting: waiting),
            preferLocal: false);

    private Activation? FindFor(GrainCall call)
    {
        var best = _workers
            .Where(worker => !worker.Gate.IsEnding && !worker.Gate.RunsAncestorOf(call))
            .MinBy(worker => worker.Gate.Load);
        if (best is { Gate.Load: 0 })
            return best;
        if (_workers.Count < workersMax)
            return null;
        // All are busy; if all wait for this very call, any of them reports the cycle.
        return best ?? _workers[0];
    }

    private bool TryEnterNew(GrainCall call)
    {
        if (host.Refuses(call))
            return true;
        var worker = new Activation(host, this, grainClass, id);
        _workers.Add(worker);
        worker.Gate.TryEnter(call);
        worker.Begin(call);
        return true;
    }

    private void Remove(Activation activation, IReadOnlyList<GrainCall> waiting)
    {
        lock (_lock)
        {
            _workers.Remove(activation);
            _retired = _workers.Count == 0 && waiting.Count == 0;
            if (_retired)
                catalog.Remove(this);
        }

        foreach (var call in waiting)
            catalog.Route(call);
    }
}
