using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>An object made callable: its calls come one after the other, in order, off the callers' turns.</summary>
internal sealed class ObserverTarget : ICallTarget, ICallRouter
{
    private volatile bool _deleted;

    public ObserverTarget(GrainId id, object instance)
    {
        TargetId = id;
        Instance = instance;
        Gate = new WorkGate(this, reentrant: false);
        Gate.Open();
    }

    public GrainId TargetId { get; }

    public object Instance { get; }

    public Activation? Activation => null;

    public WorkGate Gate { get; }

    public bool IsDeleted => _deleted;

    public void Route(GrainCall call)
    {
        // One-way calls to an observer that has gone are the normal end of a subscription: nobody is told.
        if (!_deleted)
            Gate.TryEnter(call);
        else if (call.IsOneWay)
            call.Release();
        else
            call.Fail(new SiloUnavailableException($"{TargetId} was deleted: its object takes no calls any more."));
    }

    public void Delete() => _deleted = true;
}
