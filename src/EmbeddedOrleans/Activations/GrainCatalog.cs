using System.Collections.Concurrent;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>At most one activation per identity (or one pool of stateless workers), made by the first call.</summary>
internal sealed class GrainCatalog(GrainHost host) : ICallRouter, IActivationOwner
{
    private readonly ConcurrentDictionary<GrainId, Activation> _activations = new();
    private readonly ConcurrentDictionary<GrainId, StatelessWorkerPool> _pools = new();

    public IEnumerable<Activation> Activations =>
        _activations.Values.Concat(_pools.Values.SelectMany(pool => pool.Activations));

    public void Route(GrainCall call)
    {
        GrainClass grainClass;
        try
        {
            grainClass = host.Classes.Find(call.TargetId.Type);
        }
        catch (ArgumentException error)
        {
            call.Fail(error);
            return;
        }

        if (grainClass.WorkersMax is { } workersMax)
        {
            while (!PoolOf(grainClass, call.TargetId, workersMax).TryEnter(call))
            {
                // That pool emptied and left this very moment; the next look finds none or a new one.
            }
        }
        else
        {
            while (!TryEnter(grainClass, call))
            {
                // That activation ended this very moment; it left the dictionary before its gate closed.
            }
        }
    }

    public void OnEnded(Activation activation, IReadOnlyList<GrainCall> waiting)
    {
        GrainCall[] calls = [.. waiting.Where(call => !host.Refuses(call))];
        if (calls.Length == 0)
        {
            _activations.TryRemove(KeyValuePair.Create(activation.GrainId, activation));
            return;
        }

        var successor = new Activation(host, this, activation.Class, activation.GrainId);
        successor.Gate.Inherit(calls);
        _activations[activation.GrainId] = successor;
        successor.Begin(calls[0]);
    }

    public void Remove(StatelessWorkerPool pool) => _pools.TryRemove(KeyValuePair.Create(pool.Id, pool));

    private StatelessWorkerPool PoolOf(GrainClass grainClass, GrainId id, int workersMax) =>
        _pools.GetOrAdd(id, _ => new StatelessWorkerPool(host, this, grainClass, id, workersMax));

    private bool TryEnter(GrainClass grainClass, GrainCall call)
    {
        if (_activations.TryGetValue(call.TargetId, out var found))
            return found.Gate.TryEnter(call);
        if (host.Refuses(call))
            return true;
        var made = new Activation(host, this, grainClass, call.TargetId);
        found = _activations.GetOrAdd(call.TargetId, made);
        var entered = found.Gate.TryEnter(call);
        // The call is in before the activation can fail, so that it gets that very failure.
        if (found == made)
            made.Begin(call);
        return entered;
    }
}
