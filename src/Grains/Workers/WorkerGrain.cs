using Krewe.Abstractions;
using Krewe.Control.Leases;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <summary>
/// One worker in one phase: who it is now, whether it takes work, and who holds leases on it. In memory as long as the
/// worker is attached to any silo; a lease never outlives its time, its silo's link, nor the incarnation it was granted
/// on.
/// </summary>
/// <remarks>
/// A silo that died cannot say that its link is gone: its name stays until the worker's next incarnation, and its
/// leases run out by their time.
/// </remarks>
internal abstract class WorkerGrain(TimeProvider time, ILogger log) : Grain, IWorkerGrain
{
    private readonly LeaseTable _leases = new();
    private readonly HashSet<string> _silos = new(StringComparer.Ordinal);
    private WorkerDescriptor? _worker;
    private WorkerState _state = WorkerState.Lost;
    private IGrainTimer? _expiry;

    public Task AttachAsync(WorkerDescriptor worker, string silo)
    {
        Attach(worker, silo);
        return Task.CompletedTask;
    }

    private void Attach(WorkerDescriptor worker, string silo)
    {
        var isSameProcess = _worker?.Worker == worker.Worker;
        var voided = _leases.Attach(worker.Worker.Incarnation);
        if (voided.Length > 0)
            log.LeasesVoided(worker.Worker.WorkerId, voided.Length, "it restarted");
        _worker = worker;
        // Told again of a process that drains, it still drains; after a loss the link's reports say so anew.
        if (!isSameProcess || _state == WorkerState.Lost)
            _state = WorkerState.Ready;
        if (!isSameProcess) _silos.Clear();
        _silos.Add(silo);
        DelayDeactivation(TimeSpan.MaxValue);
        SetExpiry();
    }

    public Task DetachAsync(WorkerIncarnation worker, string silo, string reason)
    {
        if (_worker?.Worker == worker)
        {
            _silos.Remove(silo);
            var voided = _silos.Count == 0 ? _leases.VoidIncarnation() : _leases.VoidSilo(silo);
            if (voided.Length > 0)
                log.LeasesVoided(worker.WorkerId, voided.Length, reason);
            if (_silos.Count == 0) _state = WorkerState.Lost;
            SetExpiry();
        }

        LeaveUnlessAttached();
        return Task.CompletedTask;
    }

    public Task DrainAsync()
    {
        if (_state == WorkerState.Ready)
            _state = WorkerState.Draining;
        LeaveUnlessAttached();
        return Task.CompletedTask;
    }

    public Task<LeaseGrant?> LeaseAsync(LeaseRequest asked)
    {
        // Nothing is known: the silo that had this grain died, or the worker's first news are on their way.
        if (_worker is null) Attach(asked.Worker, asked.Silo);
        LeaveUnlessAttached();
        var now = time.GetUtcNow();
        Expire(now);
        // A draining worker finishes what it has: leases that are held may be renewed.
        var isTaken = _state == WorkerState.Ready || (_state == WorkerState.Draining && _leases.Holds(asked.Key));
        var grant = isTaken
            ? _leases.Grant(
                asked.Key, asked.Worker.Worker.Incarnation, asked.Blocks, now, asked.Life, asked.Silo)
            : null;
        SetExpiry();
        return Task.FromResult(grant);
    }

    public Task ReleaseAsync(SequenceKey key)
    {
        _leases.Release(key);
        SetExpiry();
        LeaveUnlessAttached();
        return Task.CompletedTask;
    }

    public Task<WorkerRecord> GetAsync()
    {
        Expire(time.GetUtcNow());
        LeaveUnlessAttached();
        return Task.FromResult(new WorkerRecord
        {
            WorkerId = this.GetPrimaryKeyString(),
            State = _state,
            Descriptor = _worker,
            Leases = _leases.Leases,
        });
    }

    private Task OnExpiryAsync()
    {
        Expire(time.GetUtcNow());
        SetExpiry();
        return Task.CompletedTask;
    }

    private void Expire(DateTimeOffset now)
    {
        foreach (var lease in _leases.Expire(now))
            log.LeaseExpired(this.GetPrimaryKeyString(), lease.Key, lease.Blocks);
    }

    private void SetExpiry()
    {
        var due = _leases.NextExpiry is not { } next ? Timeout.InfiniteTimeSpan
            : next - time.GetUtcNow() is var wait && wait > TimeSpan.Zero ? wait
            : TimeSpan.Zero;
        if (_expiry is not null)
            _expiry.Change(due, Timeout.InfiniteTimeSpan);
        else if (due != Timeout.InfiniteTimeSpan)
        {
            _expiry = this.RegisterGrainTimer(
                OnExpiryAsync, new GrainTimerCreationOptions(due, Timeout.InfiniteTimeSpan));
        }
    }

    /// <summary>A grain of a worker that is not there has nothing to remember.</summary>
    private void LeaveUnlessAttached()
    {
        if (_state == WorkerState.Lost)
            DeactivateOnIdle();
    }
}

/// <inheritdoc cref="IPrefillWorkerGrain"/>
internal sealed class PrefillWorkerGrain(TimeProvider time, ILogger<PrefillWorkerGrain> log)
    : WorkerGrain(time, log), IPrefillWorkerGrain;

/// <inheritdoc cref="IDecodeWorkerGrain"/>
internal sealed class DecodeWorkerGrain(TimeProvider time, ILogger<DecodeWorkerGrain> log)
    : WorkerGrain(time, log), IDecodeWorkerGrain;
