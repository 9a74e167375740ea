using System.Collections.Immutable;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>A timer of one activation. At most one tick is queued or runs; the period counts from its end.</summary>
internal sealed class GrainTimer : IGrainTimer
{
    private readonly Activation _activation;
    private readonly Func<CancellationToken, Task> _callback;
    private readonly GrainTimerCreationOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private TimeSpan _period = Timeout.InfiniteTimeSpan;
    private bool _disposed;

    /// <summary>A tick is queued or runs; the clock stands still meanwhile.</summary>
    private bool _ticking;

    /// <summary>The callback itself changed the timer: its due time counts, not the period.</summary>
    private TimeSpan? _changedWhileTicking;

    public GrainTimer(
        Activation activation, Func<CancellationToken, Task> callback, GrainTimerCreationOptions options)
    {
        _activation = activation;
        _callback = callback;
        _options = options;
        using (ExecutionContext.SuppressFlow())
            _timer = activation.Host.Time.CreateTimer(
                static timer => ((GrainTimer)timer!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Change(TimeSpan dueTime, TimeSpan period)
    {
        ThrowIfInvalid(dueTime, nameof(dueTime));
        ThrowIfInvalid(period, nameof(period));
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _period = period;
            if (_ticking)
                _changedWhileTicking = dueTime;
            else
                _timer.Change(dueTime, Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        _timer.Dispose();
        _stop.Cancel();
        _activation.RemoveTimer(this);
    }

    private static void ThrowIfInvalid(TimeSpan time, string name)
    {
        if (time < TimeSpan.Zero && time != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(
                name, time, "A timer needs zero, a positive time or Timeout.InfiniteTimeSpan.");
    }

    private void Tick()
    {
        lock (_lock)
        {
            if (_disposed || _ticking)
                return;
            _ticking = true;
        }

        _activation.Gate.TryEnter(new TickWork(this));
    }

    private void EndTick()
    {
        lock (_lock)
        {
            _ticking = false;
            if (_disposed)
                return;
            _timer.Change(_changedWhileTicking ?? _period, Timeout.InfiniteTimeSpan);
            _changedWhileTicking = null;
        }
    }

    /// <summary>One tick: enters the activation's gate like a request.</summary>
    private sealed class TickWork(GrainTimer timer) : Work(null, ImmutableDictionary<string, object>.Empty)
    {
        public override bool Interleaves => timer._options.Interleave;

        public override string Describe() => $"{timer._activation.GrainId} (timer)";

        // A tick that outlived its activation: there is nobody left to call back.
        public override void Fail(Exception error) => timer.Dispose();

        protected override async Task ExecuteAsync()
        {
            if (timer._stop.IsCancellationRequested)
                return;
            if (timer._options.KeepAlive)
                timer._activation.Touch();
            try
            {
                await timer._callback(timer._stop.Token);
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                if (!timer._stop.IsCancellationRequested)
                    timer._activation.Host.Log.TimerCallbackFailed(error, timer._activation.GrainId);
            }
        }

        protected override void Publish() => timer.EndTick();
    }
}
