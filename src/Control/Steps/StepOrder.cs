namespace Krewe.Control.Steps;

/// <summary>
/// Who goes first, everywhere in a step: the smaller key, then the earlier arrival. The key is fixed when a sequence
/// arrives and never changes, so that the order is total and lasting: whoever is first makes progress, is never
/// preempted for another, and so nothing starves and nobody preempts in circles.
/// </summary>
/// <remarks>
/// Age counts against priority (a level is worth <see cref="PriorityHeadStartMs"/> of waiting) and against size (a
/// prompt is overtaken by what arrives within the time that it takes itself, and not later): shortest first, with
/// aging.
/// </remarks>
public static class StepOrder
{
    /// <summary>Milliseconds by which a sequence may be overtaken by one a level of priority above it.</summary>
    public const long PriorityHeadStartMs = 5000;

    /// <summary>Priorities from here on down are the batch lane's: nobody waits for them.</summary>
    public const int LeisurePriority = -1_000_000;

    /// <summary>The place in the order.</summary>
    /// <param name="arrivedMs">When it arrived, on any clock that all sequences share.</param>
    /// <param name="expectedMs">What its prefill was expected to take when it arrived.</param>
    public static long KeyMs(int priority, long arrivedMs, long expectedMs) =>
        arrivedMs + expectedMs - (priority * PriorityHeadStartMs);

    internal static int Compare(StepSequence a, StepSequence b) => Compare(a.KeyMs, a.Arrival, b.KeyMs, b.Arrival);

    /// <summary>Negative when a goes before b.</summary>
    public static int Compare(long aKeyMs, long aArrival, long bKeyMs, long bArrival) =>
        aKeyMs != bKeyMs ? aKeyMs.CompareTo(bKeyMs) : aArrival.CompareTo(bArrival);
}
