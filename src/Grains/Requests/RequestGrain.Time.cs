using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Control.Requests;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <summary>
/// What a request's grain does by itself: its clock, the watch for workers, lease renewals, its record.
/// </summary>
internal sealed partial class RequestGrain
{
    /// <summary>
    /// How long a record is offered to a storage that does not take it. Longer than a storage is away when it restarts;
    /// a grain stays in memory for it.
    /// </summary>
    private static readonly TimeSpan SavePatience = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan SavePauseFirst = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SavePauseMax = TimeSpan.FromSeconds(5);

    private IGrainTimer? _clock;
    private IGrainTimer? _renewals;

    /// <summary>Cancels the watch for workers; null while there is none.</summary>
    private CancellationTokenSource? _watch;

    /// <summary>The newest write: one follows the other, and each writes the state of its own moment.</summary>
    private Task _saved = Task.CompletedTask;

    private int _saves;
    private bool _storageIsAway;

    /// <summary>How long this grain stays in memory when its request has ended.</summary>
    private TimeSpan Keep => _spec is { Answer: not null } ? options.AnswerKeep : options.RecordKeep;

    /// <summary>Sets clock and watch to what the new state waits for.</summary>
    private void FollowPhase(bool ended)
    {
        if (ended)
            _renewals?.Dispose();
        if (_state.DueAt is { } due)
            SetClock(due - time.GetUtcNow());
        else if (ended)
            SetClock(Keep);

        if (_state.Phase == RequestPhase.WaitingForWorker)
        {
            if (_watch is not null)
                return;
            _watch = new CancellationTokenSource();
            _ = WatchWorkersAsync(_watch.Token);
        }
        else if (_watch is not null)
        {
            _watch.Cancel();
            _watch.Dispose();
            _watch = null;
        }
    }

    private void SetClock(TimeSpan due)
    {
        if (due < TimeSpan.Zero)
            due = TimeSpan.Zero;
        if (_clock is not null)
            _clock.Change(due, Timeout.InfiniteTimeSpan);
        else
        {
            _clock = this.RegisterGrainTimer(
                OnClockAsync, new GrainTimerCreationOptions(due, Timeout.InfiniteTimeSpan) { KeepAlive = true });
        }
    }

    private Task OnClockAsync()
    {
        if (!_state.IsTerminal)
            // A tick that came a moment early changes nothing but sets the clock once more.
            return ApplyAsync(new ClockTicked(time.GetUtcNow()));
        // A storage that is away is waited for here: a deactivation has not the time.
        if (_storageIsAway)
            SetClock(Keep);
        else
            DeactivateOnIdle();
        return Task.CompletedTask;
    }

    [SuppressMessage("Design", "CA1031", Justification = "Nobody awaits the watch: what it throws would be lost.")]
    private async Task WatchWorkersAsync(CancellationToken cancellationToken)
    {
        // A transition is being followed: the next one must not begin inside it.
        await Task.Yield();
        try
        {
            await router.WhenWorkersChangedAsync(cancellationToken);
            if (!cancellationToken.IsCancellationRequested)
                await ApplyAsync(new WorkersChanged(time.GetUtcNow()));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The request waits no longer.
        }
        catch (Exception error)
        {
            log.WatchFailed(error, _spec!.RequestId);
        }
    }

    private void StartRenewals()
    {
        var interval = RequestLeases.RenewalIntervalOf(cluster);
        _renewals = this.RegisterGrainTimer(
            RenewAsync, new GrainTimerCreationOptions(interval, interval) { KeepAlive = true });
    }

    private async Task RenewAsync()
    {
        foreach (var lease in _state.Leases)
        {
            var renewed = await _leases!.RenewAsync(lease);
            if (!_state.Leases.Contains(lease))
                // Given back while the renewal was under way, which may have taken it anew.
                await _leases.ReleaseAsync(lease);
            else if (!renewed)
                await ApplyAsync(new LeaseLost(time.GetUtcNow(), lease.Epoch, lease.Worker));
        }
    }

    private Task SaveAsync() => _saved = SaveAfterAsync(_saved);

    private async Task SaveAfterAsync(Task before)
    {
        // A later write says all that this one would: of two that wait for a storage the older one gives way.
        var turn = ++_saves;
        // A turn of its own: whoever started or reported has its answer first.
        await Task.Yield();
        await before;
        var begun = time.GetTimestamp();
        for (var pause = SavePauseFirst; !await TrySaveAsync(isFirst: pause == SavePauseFirst);)
        {
            if (turn != _saves) return;
            _storageIsAway = time.GetElapsedTime(begun) <= SavePatience;
            if (!_storageIsAway) return;
            await Task.Delay(pause, time, CancellationToken.None);
            pause = pause * 2 < SavePauseMax ? pause * 2 : SavePauseMax;
        }

        _storageIsAway = false;
        if (stored.State.Record?.Outcome is not null) await MakeRoomAsync();
    }

    [SuppressMessage("Design", "CA1031",
        Justification = "Whatever forgetting an old record throws must not look like a record that was not written.")]
    private async Task MakeRoomAsync()
    {
        if (retention.Keep(_spec!.GrainKey) is not { } oldest) return;
        try
        {
            await GrainFactory.GetGrain<IRequestGrain>(oldest).ForgetAsync();
        }
        catch (Exception error)
        {
            log.RecordNotForgotten(error, oldest);
        }
    }

    [SuppressMessage("Design", "CA1031",
        Justification = "A storage may throw anything, and none of it may end a stream that runs.")]
    private async Task<bool> TrySaveAsync(bool isFirst)
    {
        try
        {
            // A write whose answer got lost may have been taken: its tag is asked for before the next one.
            if (!isFirst) await stored.ReadStateAsync();
            // Prompts are not kept, but for whom that was asked for: exactness makes any answer again.
            stored.State.Spec = _state.IsTerminal && _spec!.Answer is null ? null : _spec;
            stored.State.Record = _state.ToRecord(_spec!);
            await stored.WriteStateAsync();
            if (!isFirst) log.RecordWrittenAtLast(_spec!.RequestId);
        }
        catch (Exception error)
        {
            if (isFirst) log.RecordNotWritten(error, _spec!.RequestId);
            return false;
        }

        return true;
    }
}
