using Krewe.Abstractions;
using Krewe.Control.Leases;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <summary>
/// One worker in one phase: who it is now, whether it takes work, and who holds leases on it. In memory as long as the
/// worker is attached; a lease never outlives its time, nor the incarnation it was granted on.
/// </summary>
internal abstract class WorkerGrain(TimeProvider time, ILogger log) : Grain, IWorkerGrain
{
    private readonly LeaseTable _leases = new();
    private WorkerDescriptor? _worker;
    private WorkerState _state = WorkerState.Lost;
    private IGrainTimer? _expiry;

    public Task AttachAsync(WorkerDescriptor worker)
    {
        var isSameProcess = _worker?.Worker == worker.Worker;
        var voided = _leases.Attach(worker.Worker.Incarnation);
        if (voided.Length > 0)
            log.LeasesVoided(worker.Worker.WorkerId, voided.Length, "it restarted");
        _worker = worker;
        // Told again of a process that drains, it still drains; after a loss the link's reports say so anew.
        if (!isSameProcess || _state == WorkerState.Lost)
            _state = WorkerState.Ready;
        DelayDeactivation(TimeSpan.MaxValue);
        SetExpiry();
        return Task.CompletedTask;
    }

    public Task DetachAsync(WorkerIncarnation worker, string reason)
    {
        if (_worker?.Worker == worker)
        {
            var voided = _leases.VoidIncarnation();
            if (voided.Length > 0)
                log.LeasesVoided(worker.WorkerId, voided.Length, reason);
            _state = WorkerState.Lost;
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

    public Task<LeaseGrant?> LeaseAsync(SequenceKey key, ulong incarnation, int blocks, TimeSpan life)
    {
        LeaveUnlessAttached();
        var now = time.GetUtcNow();
        Expire(now);
        // A draining worker finishes what it has: leases that are held may be renewed.
        var isTaken = _state == WorkerState.Ready || (_state == WorkerState.Draining && _leases.Holds(key));
        var grant = isTaken ? _leases.Grant(key, incarnation, blocks, now, life) : null;
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
