using System.Collections.Immutable;

namespace Krewe.EmbeddedOrleans;

/// <summary>Something that occupies an activation from its first turn to its last: a call, a tick, a hook.</summary>
internal abstract class Work
{
    private volatile bool _ended;

    protected Work(Work? parent, ImmutableDictionary<string, object> requestValues)
    {
        // An ended ancestor waits for nobody; dropping it keeps chains of fire-and-forget calls from growing.
        Parent = parent is { _ended: false } ? parent : null;
        RequestValues = requestValues;
        Node = new LinkedListNode<Work>(this);
    }

    /// <summary>Its place in the one list of its gate that holds it.</summary>
    public LinkedListNode<Work> Node { get; }

    /// <summary>Where it waits or runs; changes when it passes to an activation's successor.</summary>
    public WorkGate? Gate { get; set; }

    /// <summary>The work that waits for this one, if any is known to.</summary>
    public Work? Parent { get; protected set; }

    /// <summary>May start beside work that is in the middle of something.</summary>
    public virtual bool Interleaves => false;

    /// <summary>Timestamp of the time provider at which its caller gives up; null = never.</summary>
    public virtual long? Deadline => null;

    public bool HasEnded => _ended;

    protected ImmutableDictionary<string, object> RequestValues { get; }

    /// <summary>Starts as a new turn. Nothing of the caller's execution context flows in but the frame.</summary>
    public void Start(TurnScheduler scheduler)
    {
        var flowing = !ExecutionContext.IsFlowSuppressed();
        if (flowing)
            ExecutionContext.SuppressFlow();
        try
        {
            Task.Factory.StartNew(
                static work => ((Work)work!).RunAsync(),
                this,
                CancellationToken.None,
                TaskCreationOptions.DenyChildAttach,
                scheduler);
        }
        finally
        {
            if (flowing)
                ExecutionContext.RestoreFlow();
        }
    }

    /// <summary>For messages: who does what.</summary>
    public abstract string Describe();

    /// <summary>Ends work that never started.</summary>
    public abstract void Fail(Exception error);

    /// <summary>Its deadline passed, whether it waits or runs.</summary>
    public virtual void Expire()
    {
    }

    public bool DescendsFrom(Work ancestor)
    {
        for (var work = Parent; work is not null; work = work.Parent)
            if (work == ancestor)
                return true;
        return false;
    }

    /// <summary>Must not throw: what goes wrong is part of the outcome.</summary>
    protected abstract Task ExecuteAsync();

    /// <summary>Tells the outcome, after the activation is free again.</summary>
    protected abstract void Publish();

    protected virtual void Leave() => Gate!.Leave(this);

    private async Task RunAsync()
    {
        CallFrame.Current = new CallFrame(this, RequestValues);
        await ExecuteAsync();
        _ended = true;
        Parent = null;
        Leave();
        Publish();
    }
}
