namespace Krewe.Workers;

/// <summary>Where one sequence is on this worker, and what that means for its blocks.</summary>
internal enum SequenceStage
{
    /// <summary>In the queue; holds no block. Next: Receiving or Running.</summary>
    Waiting,

    /// <summary>
    /// Holds blocks for its whole context; a pull writes them. The engine neither reads nor frees them.
    /// </summary>
    Receiving,

    /// <summary>
    /// Holds blocks for its whole context; a restore from a lower tier writes some of them. Not computed, not freed.
    /// Next: Running.
    /// </summary>
    Restoring,

    /// <summary>
    /// Holds blocks for its whole context; a fetch from another worker writes some of them. Not computed, not freed.
    /// Next: Running.
    /// </summary>
    Fetching,

    /// <summary>Computes in every step, prefill or decode; may be preempted back to Waiting.</summary>
    Running,

    /// <summary>
    /// On its way to another worker, which has not committed yet: gets no row. Read by sends alone. Next: Ending, or
    /// back to where it was.
    /// </summary>
    Frozen,

    /// <summary>
    /// Prefill is done; its blocks wait, under a lease, for the puller's commit. Read by sends alone.
    /// </summary>
    Holding,

    /// <summary>Over. Its blocks are kept only until the last transfer that touches them has ended.</summary>
    Ending,
}
