namespace Krewe.KvStore.Disk;

/// <summary>
/// Reads never wait; writes begin only while no read is under way, a few at a time. A disk that serves both at once
/// loses over half of its read bandwidth (Tutti, arXiv 2605.03375), and a read holds up a prefill while a write holds
/// up nobody. So that writes do not starve, one is let through each time the oldest has waited its limit.
/// </summary>
internal sealed class ReadFirstGate(int writesInFlightMax, TimeSpan writeDelayMax, TimeProvider time) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private ITimer? _impatience;
    private int _reads;
    private int _writes;

    public (int Reads, int Writes, int Waiting) Load
    {
        get
        {
            lock (_gate) return (_reads, _writes, _waiting.Count(waiter => !waiter.Task.IsCompleted));
        }
    }

    public void BeginReads(int count)
    {
        lock (_gate) _reads += count;
    }

    public void EndReads(int count)
    {
        lock (_gate)
        {
            _reads -= count;
            LetGo();
        }
    }

    /// <summary>Returns when the write may begin; pairs with <see cref="EndWrite"/>.</summary>
    public async ValueTask BeginWriteAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource waiter;
        lock (_gate)
        {
            if (_reads == 0 && _writes < writesInFlightMax && _waiting.Count == 0)
            {
                _writes++;
                return;
            }

            waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(waiter);
            if (_waiting.Count == 1) Arm();
        }

        await using var registration = cancellationToken.Register(() => waiter.TrySetCanceled(cancellationToken));
        await waiter.Task;
    }

    public void EndWrite()
    {
        lock (_gate)
        {
            _writes--;
            LetGo();
        }
    }

    public void Dispose()
    {
        lock (_gate) _impatience?.Dispose();
    }

    private void LetGo()
    {
        while (_reads == 0 && _writes < writesInFlightMax && TryAdmitOldest())
        {
        }
    }

    private bool TryAdmitOldest()
    {
        while (_waiting.TryDequeue(out var waiter))
        {
            // A waiter that was cancelled has left already; the next one takes its turn.
            if (!waiter.TrySetResult()) continue;
            _writes++;
            if (_waiting.Count > 0) Arm();
            return true;
        }

        return false;
    }

    private void Arm()
    {
        _impatience ??= time.CreateTimer(
            _ => AdmitImpatient(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _impatience.Change(writeDelayMax, Timeout.InfiniteTimeSpan);
    }

    private void AdmitImpatient()
    {
        lock (_gate)
        {
            if (_writes < writesInFlightMax) TryAdmitOldest();
            else if (_waiting.Count > 0) Arm();
        }
    }
}
