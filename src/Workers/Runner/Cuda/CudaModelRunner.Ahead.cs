using System.Diagnostics.CodeAnalysis;

namespace Krewe.Workers;

/// <summary>
/// Steps queued ahead of the tokens that they go on from, in the order of each GPU's compute stream. Of several GPUs
/// the first draws tokens, and the others have them from it.
/// </summary>
internal sealed partial class CudaModelRunner
{
    private readonly Queue<StepBatch> _underWay = new(CudaStepMemory.Turns);
    private StepBatch? _newest;

    public bool RunsAhead => true;

    public bool TryQueue(StepBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        DemandTogether();
        if (_underWay.Count == CudaStepMemory.Turns) return false;
        if (batch.WantsLogits || batch.Gate is not null || batch.Observer is not null)
            throw new ArgumentException("A step ahead has draws alone, no gate and no observer.", nameof(batch));
        var drawn = _underWay.Count == 0 ? 0 : _newest!.LogitRowCount;
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, Kv, drawn);
        try
        {
            if (!TryQueueOnAll(batch, isFirst: _underWay.Count == 0)) return false;
        }
        catch (Exception error)
        {
            // Half a step may be queued: it must have run before its numbers are written again.
            AbandonAll();
            if (IsLost(error)) throw Lost(error);
            throw;
        }

        _underWay.Enqueue(_newest = batch);
        return true;
    }

    public void Finish()
    {
        var isOlder = _underWay.Count == CudaStepMemory.Turns;
        var batch = _underWay.Dequeue();
        DemandTogether();
        try
        {
            OnAll(rank =>
            {
                if (isOlder) rank.WaitForOlder();
                else rank.Wait();
            });
        }
        catch (Exception error) when (IsLost(error))
        {
            throw Lost(error);
        }

        var sampled = _ranks[0].Sampled(isOlder, batch.LogitRowCount);
        for (var row = 0; row < sampled.Length; row++)
        {
            if (sampled[row] >= 0) batch.SetSampled(row, sampled[row]);
        }
    }

    public void Abandon()
    {
        _underWay.Clear();
        AbandonAll();
    }

    private bool TryQueueOnAll(StepBatch batch, bool isFirst)
    {
        if (_threads is null)
        {
            if (!_ranks[0].TryPrepareAhead(batch, isFirst)) return false;
            _ranks[0].QueueAhead();
            return true;
        }

        var fits = true;
        RunRanks(
            rank =>
            {
                if (!rank.TryPrepareAhead(batch, isFirst)) Volatile.Write(ref fits, false);
            },
            (rank, _, _) =>
            {
                if (Volatile.Read(ref fits)) rank.QueueAhead();
            });
        return fits;
    }

    [SuppressMessage("Design", "CA1031", Justification = "A GPU that is lost is told of by the next step.")]
    private void AbandonAll()
    {
        // Disposed: its threads have ended.
        if (_owned.Count == 0) return;
        try
        {
            OnAll(rank => rank.Abandon());
        }
        catch (Exception e)
        {
            _ = e;
        }
    }

    /// <summary>Each rank waits on a thread of its own: who waits for a GPU that is in an exchange learns nothing of the
    /// one that died, and does not come back before somebody tells the ranks to end.</summary>
    private void OnAll(Action<CudaRank> wait)
    {
        if (_threads is null) wait(_ranks[0]);
        else RunRanks(static _ => { }, (rank, _, _) => wait(rank));
    }
}
