using Krewe.Abstractions;
using Krewe.Control.KvObjects;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <inheritdoc cref="IKvBlockGrain"/>
/// <remarks>In memory only: workers tell anew what they hold whenever a silo asks.</remarks>
internal sealed class KvBlockGrain(IKvPort port, TimeProvider time) : Grain, IKvBlockGrain
{
    private KvObject _object = KvObject.Empty;
    private IGrainTimer? _expiry;

    public Task StoredAsync(KvReplica replica)
    {
        var now = time.GetUtcNow();
        _object = _object.Stored(replica, now);
        // A copy that comes about under a pin is pinned too.
        foreach (var pin in _object.Expired(now).Pins) port.Keep(replica.Worker, Hash, pin.ExpiresAt - now);
        return Task.CompletedTask;
    }

    public Task RemovedAsync(KvReplica replica)
    {
        _object = _object.Removed(replica);
        LeaveIfEmpty();
        return Task.CompletedTask;
    }

    public Task WorkerLostAsync(WorkerIncarnation worker)
    {
        _object = _object.WorkerLost(worker);
        LeaveIfEmpty();
        return Task.CompletedTask;
    }

    public Task<KvPin?> PinAsync(string owner, TimeSpan life)
    {
        var now = time.GetUtcNow();
        if (_object.Expired(now).Pinned(owner, now + life, now) is not { } pinned)
        {
            LeaveIfEmpty();
            return Task.FromResult<KvPin?>(null);
        }

        _object = pinned;
        foreach (var worker in _object.Keepers) port.Keep(worker, Hash, life);
        SetExpiry();
        return Task.FromResult<KvPin?>(_object.Pins[^1]);
    }

    public Task UnpinAsync(string owner)
    {
        _object = _object.Unpinned(owner);
        LetGoUnlessPinned();
        LeaveIfEmpty();
        return Task.CompletedTask;
    }

    public Task<KvBlockRecord?> GetAsync()
    {
        _object = _object.Expired(time.GetUtcNow());
        LeaveIfEmpty();
        return Task.FromResult(_object.IsEmpty
            ? null
            : new KvBlockRecord
            {
                Hash = Hash,
                Replicas = _object.Replicas,
                Pins = _object.Pins,
                LastUse = _object.LastUse,
            });
    }

    private string Hash => this.GetPrimaryKeyString();

    private Task OnExpiryAsync()
    {
        _object = _object.Expired(time.GetUtcNow());
        LetGoUnlessPinned();
        SetExpiry();
        return Task.CompletedTask;
    }

    /// <summary>Workers let go by themselves when the time is up; this is for pins given back early.</summary>
    private void LetGoUnlessPinned()
    {
        if (!_object.Pins.IsEmpty) return;
        foreach (var worker in _object.Keepers) port.Keep(worker, Hash, TimeSpan.Zero);
    }

    private void SetExpiry()
    {
        var due = _object.NextExpiry is not { } next ? Timeout.InfiniteTimeSpan
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

    private void LeaveIfEmpty()
    {
        if (_object.IsEmpty) DeactivateOnIdle();
    }
}
