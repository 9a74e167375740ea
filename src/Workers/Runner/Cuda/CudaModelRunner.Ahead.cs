using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>Steps queued ahead of the tokens that they go on from: on one GPU, in the order of its compute stream.
/// </summary>
internal sealed partial class CudaModelRunner
{
    private readonly Queue<StepBatch> _underWay = new(CudaStepMemory.Turns);
    private StepBatch? _newest;

    /// <summary>Only the first of several GPUs draws tokens: the others do not have them.</summary>
    public bool RunsAhead => _ranks.Count == 1;

    public bool TryQueue(StepBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (!RunsAhead || _underWay.Count == CudaStepMemory.Turns) return false;
        if (batch.WantsLogits || batch.Gate is not null || batch.Observer is not null)
            throw new ArgumentException("A step ahead has draws alone, no gate and no observer.", nameof(batch));
        var drawn = _underWay.Count == 0 ? 0 : _newest!.LogitRowCount;
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, Kv, drawn);
        try
        {
            if (!_ranks[0].TryQueueAhead(batch, isFirst: _underWay.Count == 0)) return false;
        }
        catch (CudaException error)
        {
            // Half a step may be queued: it must have run before its numbers are written again.
            Abandon(_ranks[0]);
            if (error.IsContextLost) throw Lost(error);
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
            if (isOlder) _ranks[0].WaitForOlder();
            else _ranks[0].Wait();
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
        if (RunsAhead) Abandon(_ranks[0]);
    }
}
