using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>
/// The step's gate and observer as several ranks see them: all come to a layer before the first rank asks or tells, and
/// none leaves before. A rank that fails lets the others go.
/// </summary>
internal sealed class RankMeeting(int ranks) : IDisposable
{
    private readonly Barrier _barrier = new(ranks);
    private readonly CancellationTokenSource _failed = new();
    private volatile bool _failedAtDoor;

    /// <summary>What failed first; what fails after it does so because of it.</summary>
    public Exception? Failure { get; private set; }

    public void Fail(Exception failure)
    {
        lock (_failed) Failure ??= failure;
        _failed.Cancel();
    }

    /// <summary>
    /// Why the ranks have not all queued the same, seen by one that has <see cref="Fail">failed</see>; null: they have,
    /// as a gate or an observer failed, which is told or asked where all have come.
    /// </summary>
    public Exception? WhatParts(Exception failure)
    {
        var first = Failure ?? failure;
        if (!_failedAtDoor || first is CudaException) return first;
        return ReferenceEquals(failure, first) || failure is OperationCanceledException ? null : failure;
    }

    public ILayerGate Gate(ILayerGate own, int rank) => new Door(this, rank, own.WaitForLayer);

    public ILayerObserver Observer(ILayerObserver own, int rank) => new Door(this, rank, own.LayerStored);

    public void Dispose()
    {
        _barrier.Dispose();
        _failed.Dispose();
    }

    private void Meet(int rank, Action<int> act, int layer)
    {
        _barrier.SignalAndWait(_failed.Token);
        if (rank == 0) Act(act, layer);
        _barrier.SignalAndWait(_failed.Token);
    }

    private void Act(Action<int> act, int layer)
    {
        try
        {
            act(layer);
        }
        catch
        {
            _failedAtDoor = true;
            throw;
        }
    }

    private sealed class Door(RankMeeting meeting, int rank, Action<int> act) : ILayerGate, ILayerObserver
    {
        public void WaitForLayer(int layer) => meeting.Meet(rank, act, layer);

        public void LayerStored(int layer) => meeting.Meet(rank, act, layer);
    }
}
