namespace Krewe.Workers;

/// <summary>
/// A runner that takes a step before the host knows the tokens of the last one: they stay on the device, and rows added
/// by <see cref="StepBatch.AddDrawn"/> name them. Steps run in the order of queueing and give the bits of
/// <see cref="IModelRunner.Run"/>, which may be called only while none is under way.
/// </summary>
public interface IAheadRunner : ISamplingRunner
{
    /// <summary>Whether this runner, as it was made, takes any step ahead.</summary>
    bool RunsAhead { get; }

    /// <summary>
    /// Queues the step behind those under way, two at most, and returns at once. Every row that has logits must have a
    /// draw. False: nothing was queued, and the step has to wait until none is under way (its memory must grow, or two
    /// are under way). What it throws leaves steps queued before as they were.
    /// </summary>
    bool TryQueue(StepBatch batch);

    /// <summary>
    /// Returns when the oldest step under way has run; its batch then has the tokens, or null where the logits are no
    /// numbers. Throws as <see cref="IModelRunner.Run"/>; the step is then under way no more.
    /// </summary>
    void Finish();

    /// <summary>Returns when nothing is under way any more; what was is without result.</summary>
    void Abandon();
}
