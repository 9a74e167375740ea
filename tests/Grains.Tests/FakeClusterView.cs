using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Grains.Tests;

/// <summary>A view of workers that changes when the test says so.</summary>
internal sealed class FakeClusterView : IClusterView
{
    private readonly Lock _lock = new();
    private ImmutableArray<WorkerView> _workers = [];
    private TaskCompletionSource _changed = NewChange();
    private TaskCompletionSource _watched = NewChange();

    /// <summary>Completes when somebody waits for a change.</summary>
    public Task Watched => _watched.Task.WaitAsync(GrainCluster.Patience);

    public ImmutableArray<WorkerView> Workers
    {
        get
        {
            lock (_lock)
                return _workers;
        }
    }

    public Task WhenWorkersChangedAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _watched.TrySetResult();
            return _changed.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>The workers of now. Whoever waits is told only if <paramref name="tell"/>.</summary>
    public void Set(ImmutableArray<WorkerView> workers, bool tell = true)
    {
        lock (_lock)
        {
            _workers = workers;
            if (!tell)
                return;
            _changed.SetResult();
            _changed = NewChange();
            _watched = NewChange();
        }
    }

    public static WorkerView ViewOf(WorkerDescriptor worker) => new()
    {
        Descriptor = worker,
        State = WorkerState.Ready,
        AvailableBlocks = worker.TotalBlocks,
        RunningSequences = 0,
        WaitingSequences = 0,
        WaitingTokens = 0,
        DispatchedSequences = 0,
        DispatchedTokens = 0,
    };

    private static TaskCompletionSource NewChange() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
