namespace Krewe.Control.Migration;

/// <summary>When a source stops copying in rounds.</summary>
/// <param name="WindowBlocks">Blocks on their way at once: enough to cover a round trip, few enough to stay
/// fair.</param>
/// <param name="FreezeBlocks">
/// Full blocks that may still be missing on the target when the source freezes: what the pause costs beyond the growing
/// block. 0 keeps it at one block's copy.
/// </param>
/// <param name="RoundsMax">Rounds after which the source settles for <paramref name="LastRoundBlocks"/>.</param>
/// <param name="LastRoundBlocks">
/// Missing blocks that the last round may have (Llumnix: 16). With more the sequence grows faster than the link
/// carries, and the migration is given up rather than paused for long.
/// </param>
public sealed record MigrationLimits(
    int WindowBlocks = MigrationLimits.WindowBlocksUsual, int FreezeBlocks = 0, int RoundsMax = 8,
    int LastRoundBlocks = 16)
{
    /// <summary>Some MiB of a usual model.</summary>
    public const int WindowBlocksUsual = 32;
}
