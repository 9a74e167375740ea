namespace Krewe.Workers;

/// <summary>
/// The finished layers of one step, from the runner's thread to the senders that follow it. The runner writes a number
/// and at most queues one work item; the senders are woken from the pool.
/// </summary>
internal sealed class StepProgress(int layers) : ILayerObserver, IThreadPoolWorkItem
{
    private TaskCompletionSource _moved = NewSignal();
    private int _stored;
    private int _queued;

    public void LayerStored(int layer)
    {
        if (layer < Volatile.Read(ref _stored)) return;
        Volatile.Write(ref _stored, layer + 1);
        if (Interlocked.Exchange(ref _queued, 1) == 0) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>
    /// The step is over: nobody waits any more. To be called after the handoffs of sequences that failed were ended.
    /// </summary>
    public void Finish() => LayerStored(layers - 1);

    /// <summary>Waits until more than <paramref name="seen"/> layers are stored, and says how many.</summary>
    public async ValueTask<int> WhenBeyondAsync(int seen, CancellationToken cancellationToken)
    {
        while (true)
        {
            // The signal first: layers stored after the look at their number complete it.
            var moved = Volatile.Read(ref _moved).Task;
            var stored = Volatile.Read(ref _stored);
            if (stored > seen) return stored;
            await moved.WaitAsync(cancellationToken);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        Interlocked.Exchange(ref _queued, 0);
        Interlocked.Exchange(ref _moved, NewSignal()).SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
