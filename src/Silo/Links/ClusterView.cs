using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Grains;

namespace Krewe.Silo.Links;

/// <summary>The attached workers of this silo, one link each. Invariant: a worker id is there at most once.</summary>
internal sealed class ClusterView : IClusterView
{
    private readonly Lock _gate = new();
    private ImmutableDictionary<string, WorkerLink> _links = ImmutableDictionary.Create<string, WorkerLink>(
        StringComparer.Ordinal);

    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private WorkerLink[] _ordered = [];
    private long _removed;

    /// <summary>Links that have ended since the start.</summary>
    public long RemovedCount => Interlocked.Read(ref _removed);

    /// <summary>In the order of their ids, so that equal clusters look equal to a policy.</summary>
    public IReadOnlyList<WorkerLink> Links => Volatile.Read(ref _ordered);

    public ImmutableArray<WorkerView> Workers
    {
        get
        {
            // For every route: nothing is sorted here.
            var links = Volatile.Read(ref _ordered);
            var views = new WorkerView[links.Length];
            for (var i = 0; i < views.Length; i++) views[i] = links[i].View;
            return ImmutableCollectionsMarshal.AsImmutableArray(views);
        }
    }

    public Task WhenWorkersChangedAsync(CancellationToken cancellationToken)
    {
        lock (_gate) return _changed.Task.WaitAsync(cancellationToken);
    }

    /// <summary>The link of this worker id, whichever incarnation; null when there is none.</summary>
    public WorkerLink? Find(string workerId) => Volatile.Read(ref _links).GetValueOrDefault(workerId);

    /// <summary>The link of this incarnation; null when it is not there any more.</summary>
    public WorkerLink? Find(WorkerIncarnation worker) =>
        Find(worker.WorkerId) is { } link && link.Worker == worker ? link : null;

    public void Add(WorkerLink link)
    {
        lock (_gate) Set(_links.Add(link.Worker.WorkerId, link));
        SignalChange();
    }

    public void Remove(WorkerLink link)
    {
        lock (_gate)
        {
            if (_links.GetValueOrDefault(link.Worker.WorkerId) != link) return;
            Set(_links.Remove(link.Worker.WorkerId));
            Interlocked.Increment(ref _removed);
        }

        SignalChange();
    }

    /// <summary>Routes nothing new to this worker, or does so again.</summary>
    public void SetCordoned(string workerId, bool isCordoned)
    {
        if (Find(workerId) is { } link && link.SetCordoned(isCordoned)) SignalChange();
    }

    private void Set(ImmutableDictionary<string, WorkerLink> links)
    {
        Volatile.Write(ref _links, links);
        Volatile.Write(
            ref _ordered, [.. links.Values.OrderBy(link => link.Worker.WorkerId, StringComparer.Ordinal)]);
    }

    /// <summary>Wakes who waits for a change of the ready workers.</summary>
    public void SignalChange()
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }
}
