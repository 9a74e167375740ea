namespace Krewe.Control.Steps;

/// <summary>One sequence as the step planner sees it.</summary>
public readonly record struct StepSequence
{
    /// <summary>The engine's name for it; the plan answers with it.</summary>
    public required int Handle { get; init; }

    /// <summary>A level is worth <see cref="StepOrder.PriorityHeadStartMs"/> in the order.</summary>
    public required int Priority { get; init; }

    /// <summary>Place in the order of arrival on this worker; kept through preemption.</summary>
    public required long Arrival { get; init; }

    /// <summary>When it arrived, ms, on any clock; kept through preemption. Without it priority is strict.</summary>
    public long ArrivedMs { get; init; }

    /// <summary>What its prefill was expected to take when it arrived, ms; kept through preemption.</summary>
    public long ExpectedMs { get; init; }

    /// <summary>Prompt and output tokens known.</summary>
    public required int KnownTokens { get; init; }

    /// <summary>Tokens with KV. One less than known = a decode.</summary>
    public required int ComputedTokens { get; init; }

    public required int HeldBlocks { get; init; }

    /// <summary>Will go on decoding here and so grow; false for a prefill that is handed off.</summary>
    public required bool Grows { get; init; }

    /// <summary>
    /// Waiting: its KV is pulled from another worker; admission reserves blocks and computes nothing.
    /// </summary>
    public bool Pulls { get; init; }

    /// <summary>Waiting: blocks that the prefix cache would give it.</summary>
    public int HitBlocks { get; init; }

    /// <summary>Waiting: those hit blocks that count as available now and would not any more.</summary>
    public int HitEvictableBlocks { get; init; }

    /// <summary>Running: blocks that become available when it is preempted.</summary>
    public int ReleasableBlocks { get; init; }

    /// <summary>Smaller goes first.</summary>
    public long KeyMs => StepOrder.KeyMs(Priority, ArrivedMs, ExpectedMs);
}

/// <summary>All that a step's plan depends on. Reused from step to step.</summary>
public sealed class StepSnapshot
{
    /// <summary>Most rows of the step, whatever the time allows.</summary>
    public int BudgetTokens { get; set; }

    /// <summary>What a step is predicted to take; null: nothing is known, and <see cref="BudgetTokens"/> alone
    /// limits.</summary>
    public StepTimeCoefficients? StepTime { get; set; }

    /// <summary>Typical relative error of <see cref="StepTime"/>.</summary>
    public double StepTimeSpread { get; set; }

    /// <summary>Longest gap between two tokens of a stream that the step should leave, ms; null: none.</summary>
    public double? InterTokenSloMs { get; set; }

    /// <summary>The tier below, where preempted blocks may go; null: none.</summary>
    public SpillRates? Spill { get; set; }

    /// <summary>Most sequences that run or are reserved for.</summary>
    public int SequencesMax { get; set; }

    /// <summary>Token slots of a block.</summary>
    public int BlockTokens { get; set; }

    /// <summary>Free and evictable blocks.</summary>
    public int AvailableBlocks { get; set; }

    /// <summary>Admitted sequences whose KV is still on its way here.</summary>
    public int ReceivingSequences { get; set; }

    /// <summary>Admitted sequences with tokens to compute, any order.</summary>
    public List<StepSequence> Running { get; } = [];

    /// <summary>Sequences that hold no blocks yet, any order; leaving out the later ones only delays them.</summary>
    public List<StepSequence> Waiting { get; } = [];
}
