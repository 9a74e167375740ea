namespace Krewe.Workers;

/// <summary>A step of decodes that is under way on the device while the engine goes on; reused.</summary>
internal sealed class StepFlight(StepBatch batch)
{
    /// <summary>One row each. Parts of sequences that ended since count for nothing when the step has run.</summary>
    public List<StepPart> Parts { get; } = [];

    public StepBatch Batch { get; } = batch;

    /// <summary>When it was queued, by the engine's time provider.</summary>
    public long QueuedAt { get; set; }

    /// <summary>Steps since the last plan, which left somebody waiting; null: nobody waits.</summary>
    public int? Unplanned { get; set; }
}
