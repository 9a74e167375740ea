namespace Krewe.EmbeddedOrleans;

/// <summary>Runs the turns of one activation, one after the other, on pool threads.</summary>
/// <remarks>An await inside a grain comes back here by itself, because it captures the current scheduler.</remarks>
internal sealed class TurnScheduler : TaskScheduler, IThreadPoolWorkItem
{
    /// <summary>Turns before the thread is given back, so that a busy grain does not hold it for ever.</summary>
    private const int TurnsPerSliceMax = 64;

    private readonly Lock _lock = new();
    private readonly Queue<Task> _turns = new();

    /// <summary>True while a thread runs turns or is on its way: the one thing that keeps turns apart.</summary>
    private bool _busy;

    public void Execute()
    {
        for (var turn = 0; turn < TurnsPerSliceMax; turn++)
        {
            Task? task;
            lock (_lock)
                if (!_turns.TryDequeue(out task))
                {
                    _busy = false;
                    return;
                }

            TryExecuteTask(task);
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    protected override void QueueTask(Task task)
    {
        lock (_lock)
        {
            _turns.Enqueue(task);
            if (_busy)
                return;
            _busy = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
    }

    // Only from within a turn of this very scheduler: anywhere else it would be a second turn beside the first.
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        !taskWasPreviouslyQueued && Current == this && TryExecuteTask(task);

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_lock)
            return [.. _turns];
    }
}
