namespace Krewe.Control.Migration;

/// <summary>
/// How much room a worker has left for the sequences it runs, in blocks a sequence; negative when it promised more than
/// it has. One number for balance, fragmentation, priorities and draining.
/// </summary>
/// <remarks>
/// Llumnix (OSDI 2024), section 4.4: F = (M - sum of virtual usages) / B, M = the pool's blocks, B = running sequences.
/// A running sequence's virtual usage is what it holds plus its share of its priority's headroom; since the shares of
/// one priority add up to the whole headroom, headroom counts once a worker. A queued request counts at the head of the
/// line only. A draining worker has a request of infinite usage.
/// </remarks>
public static class Freeness
{
    /// <param name="usage">The worker.</param>
    /// <param name="headroomBlocks">
    /// Blocks to keep free beside a sequence of priority above 0, so that it decodes at its ideal speed; 0 = off.
    /// </param>
    public static double Of(WorkerUsage usage, int headroomBlocks)
    {
        if (usage.IsDraining) return double.NegativeInfinity;
        var headroom = usage.PriorityMax > 0 ? headroomBlocks : 0;
        var left = usage.TotalBlocks - usage.UsedBlocks - usage.HeadOfLineBlocks - headroom;
        return (double)left / Math.Max(1, usage.RunningSequences);
    }

    /// <summary>The same after a sequence of <paramref name="blocks"/> came (+) or left (-).</summary>
    public static double After(WorkerUsage usage, int blocks, int headroomBlocks) => Of(
        usage with
        {
            UsedBlocks = usage.UsedBlocks + blocks,
            RunningSequences = Math.Max(0, usage.RunningSequences + Math.Sign(blocks)),
        },
        headroomBlocks);
}
