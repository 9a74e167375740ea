namespace Krewe.Control.Steps;

/// <summary>What it costs to keep a preempted sequence's blocks in the tier below.</summary>
/// <param name="DownMsPerBlock">Copying one block down.</param>
/// <param name="UpMsPerBlock">Bringing it back.</param>
/// <param name="FreeBlocks">Blocks that the tier can take now.</param>
public readonly record struct SpillRates(double DownMsPerBlock, double UpMsPerBlock, int FreeBlocks);

/// <summary>Whether a preempted sequence is spilled or computed again.</summary>
public static class PreemptionCost
{
    /// <summary>
    /// True when the blocks that a preemption gives up are copied down and up in less time than their tokens are
    /// computed. Shared blocks stay and cost neither. Without a tier or a step-time model: false.
    /// </summary>
    public static bool SpillIsCheaper(in StepSequence sequence, StepSnapshot snapshot)
    {
        if (snapshot.Spill is not { } spill || snapshot.StepTime is not { } time) return false;
        var blocks = Math.Min(sequence.ReleasableBlocks, sequence.ComputedTokens / snapshot.BlockTokens);
        if (blocks == 0 || blocks > spill.FreeBlocks) return false;
        var tokens = blocks * snapshot.BlockTokens;
        var recomputeMs = time.PrefillMs(
            sequence.ComputedTokens - tokens, tokens, Math.Max(1, snapshot.BudgetTokens));
        return blocks * (spill.DownMsPerBlock + spill.UpMsPerBlock) < recomputeMs;
    }
}
