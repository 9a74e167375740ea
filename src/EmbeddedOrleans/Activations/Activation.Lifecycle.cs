using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <remarks>Order: services, constructor, stored states, OnActivateAsync, calls ... last call, timers stopped,
/// OnDeactivateAsync, grain and services disposed, successor (if calls wait), Deactivated.</remarks>
internal sealed partial class Activation
{
    public void Begin(Work? trigger) =>
        new LifecycleWork(this, nameof(IGrainBase.OnActivateAsync), ActivateAsync, trigger).Start(Gate.Scheduler);

    public void Deactivate(DeactivationReason deactivationReason, CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            if (_reason is not null)
                return;
            _reason = deactivationReason;
        }

        // A gate that is not open yet is drained by ActivateAsync, which finds the reason.
        Gate.Drain(BeginDeactivation);
    }

    private void BeginDeactivation() =>
        new LifecycleWork(this, nameof(IGrainBase.OnDeactivateAsync), DeactivateAsync, null).Start(Gate.Scheduler);

    private async Task ActivateAsync()
    {
        try
        {
            _scope = _host.Services.CreateAsyncScope();
            var states = new List<IStoredState>();
            _instance = Class.Create(this, states);
            foreach (var state in states)
                await state.LoadAsync();
            if (_instance is IGrainBase grain)
            {
                using var patience = new CancellationTokenSource(_host.Options.ResponseTimeout, _host.Time);
                await grain.OnActivateAsync(patience.Token);
            }
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            _host.Log.ActivationFailed(error, GrainId);
            await EndAsync(error);
            return;
        }

        if (ReasonGiven() is { } reason)
        {
            // It would hand its callers to a successor that does the same, for ever.
            await RunDeactivationHookAsync(reason);
            await EndAsync(new OrleansException($"{GrainId} ended before it took a call: {reason}"));
            return;
        }

        Touch();
        Gate.Open();
        if (ReasonGiven() is not null)
            Gate.Drain(BeginDeactivation);
    }

    private DeactivationReason? ReasonGiven()
    {
        lock (_lock)
            return _reason;
    }

    private async Task DeactivateAsync()
    {
        if (ReasonGiven() is { } reason)
            await RunDeactivationHookAsync(reason);
        await EndAsync(null);
    }

    private async Task RunDeactivationHookAsync(DeactivationReason reason)
    {
        StopTimers();
        if (_instance is not IGrainBase grain)
            return;
        using var patience = new CancellationTokenSource(_host.Options.ResponseTimeout, _host.Time);
        try
        {
            await grain.OnDeactivateAsync(reason, patience.Token);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            _host.Log.DeactivationFailed(error, GrainId);
        }
    }

    /// <param name="failure">What waiting calls get; null passes them to a successor.</param>
    private async Task EndAsync(Exception? failure)
    {
        StopTimers();
        try
        {
            if (_instance is IAsyncDisposable asyncDisposable)
                await asyncDisposable.DisposeAsync();
            else if (_instance is IDisposable disposable)
                disposable.Dispose();
            if (_scope is { } scope)
                await scope.DisposeAsync();
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            _host.Log.DeactivationFailed(error, GrainId);
        }

        List<Work> refused = [];
        Gate.Retire(waiting =>
        {
            // Ticks die with their activation; only calls may wake a successor.
            GrainCall[] calls = failure is null ? [.. waiting.OfType<GrainCall>()] : [];
            refused.AddRange(waiting.Except(calls));
            _owner.OnEnded(this, calls);
        });
        foreach (var work in refused)
            work.Fail(failure ?? new SiloUnavailableException($"{GrainId} has ended."));
        _deactivated.SetResult();
    }

    private void StopTimers()
    {
        GrainTimer[] timers;
        lock (_lock)
            timers = [.. _timers];
        foreach (var timer in timers)
            timer.Dispose();
    }
}
