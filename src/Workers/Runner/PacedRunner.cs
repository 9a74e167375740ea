using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// Takes its time and computes nothing: for measuring who waits for whom on a machine whose cores are busy with other
/// things. Every next token is 0; K and V are whatever lies in the arena.
/// </summary>
/// <param name="rowTime">Of each row of a step.</param>
internal sealed class PacedRunner(
    ModelFolder model, CpuKvArena arena, TimeSpan rowTime, TimeProvider time) : IModelRunner
{
    // Sleeps are whole milliseconds and end late: what was slept too little or too long is made good by the next.
    private TimeSpan _owed;

    public int VocabularySize => model.Config.VocabularySize;

    public int MaxContextTokens => model.Config.MaxPositions;

    public NumericsFingerprint Numerics { get; } = new("paced", "none", 1, "none", arena.Geometry.Format);

    public IKvArena Kv => arena;

    public void Run(StepBatch batch)
    {
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, arena);
        _owed += rowTime * batch.RowCount;
        if (_owed.TotalMilliseconds >= 1)
        {
            var begun = time.GetTimestamp();
            Thread.Sleep(_owed);
            _owed -= time.GetElapsedTime(begun);
        }

        batch.ReserveLogits(VocabularySize).Clear();
    }

    public void Dispose() => arena.Dispose();
}
