using Krewe.Abstractions;
using Krewe.Control.Admission;
using Krewe.Grains;

namespace Krewe.Silo.Gateway;

/// <summary>Lets requests in or refuses them, and knows how many are inside.</summary>
internal sealed class Door(IClusterView view, ClusterOptions options)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _inside;
    private bool _isDraining;

    /// <summary>Requests that were let in and have not left.</summary>
    public int InsideCount
    {
        get
        {
            lock (_gate) return _inside;
        }
    }

    public bool IsDraining
    {
        get
        {
            lock (_gate) return _isDraining;
        }
    }

    /// <summary>Decides; an admitted request is inside until it calls <see cref="Leave"/>.</summary>
    public AdmissionDecision Enter()
    {
        var workers = view.Workers.Where(worker => worker.State == WorkerState.Ready).ToList();
        lock (_gate)
        {
            // :: Step 2
            var decision = AdmissionPolicy.Decide(new AdmissionSnapshot
            {
                OpenRequests = _inside,
                MaxRequests = options.MaxRequestsPerSilo,
                Draining = _isDraining,
                PrefillWorkers = workers.Count(worker => worker.Descriptor.Role != WorkerRole.Decode),
                DecodeWorkers = workers.Count(worker => worker.Descriptor.Role != WorkerRole.Prefill),
            });
            if (decision is Admitted) _inside++;
            return decision;
        }
    }

    public void Leave()
    {
        lock (_gate)
        {
            _inside--;
            SignalWhenEmpty();
        }
    }

    /// <summary>Lets nobody in any more; completes when the last one has left.</summary>
    public Task DrainAsync()
    {
        lock (_gate)
        {
            _isDraining = true;
            SignalWhenEmpty();
        }

        return _empty.Task;
    }

    private void SignalWhenEmpty()
    {
        if (_isDraining && _inside == 0) _empty.TrySetResult();
    }
}
