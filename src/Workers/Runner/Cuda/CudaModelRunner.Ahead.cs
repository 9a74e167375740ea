using Krewe.Kernels.Cuda;

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
        if (_underWay.Count == CudaStepMemory.Turns) return false;
        if (batch.WantsLogits || batch.Gate is not null || batch.Observer is not null)
            throw new ArgumentException("A step ahead has draws alone, no gate and no observer.", nameof(batch));
        var drawn = _underWay.Count == 0 ? 0 : _newest!.LogitRowCount;
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, Kv, drawn);
        try
        {
            if (!TryQueueOnAll(batch, isFirst: _underWay.Count == 0)) return false;
        }
        catch (CudaException error)
        {
            // Half a step may be queued: it must have run before its numbers are written again.
            AbandonAll();
            if (error.IsContextLost || _areApart) throw Lost(error);
            throw;
        }

        _underWay.Enqueue(_newest = batch);
        return true;
    }

    public void Finish()
    {
        var isOlder = _underWay.Count == CudaStepMemory.Turns;
        var batch = _underWay.Dequeue();
        try
        {
            foreach (var rank in _ranks)
            {
                if (isOlder) rank.WaitForOlder();
                else rank.Wait();
            }
        }
        catch (CudaException error) when (error.IsContextLost)
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

    private void AbandonAll()
    {
        foreach (var rank in _ranks) Abandon(rank);
    }
}
