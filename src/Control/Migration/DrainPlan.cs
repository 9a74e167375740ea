using Krewe.Abstractions;

namespace Krewe.Control.Migration;

/// <summary>What becomes of a sequence on a worker that must be left.</summary>
public enum DrainDecision
{
    /// <summary>It goes on where it is for now.</summary>
    Stay,

    /// <summary>Its KV moves to another worker while it decodes.</summary>
    Move,

    /// <summary>Its KV is given up and computed again elsewhere.</summary>
    Recompute,
}

/// <summary>Costs that a drain reckons with.</summary>
public sealed record DrainPolicy
{
    /// <summary>Blocks that leave a worker in a second; low rather than high, the link is shared.</summary>
    public double BlocksPerSecond { get; init; } = 500;

    /// <summary>Time that must be left after the last deed, for messages on their way.</summary>
    public TimeSpan Margin { get; init; } = TimeSpan.FromMilliseconds(1500);

    /// <summary>
    /// Part of what is left within which a sequence that would end by itself is let end: moving it would cost more than
    /// it saves.
    /// </summary>
    public double FinishShare { get; init; } = 0.5;
}

/// <summary>
/// SpotServe's rule for a grace period (ASPLOS 2024, section 4): decode on as long as the KV can still leave in time;
/// give it up and compute it again when it cannot. Live migration decodes on while it copies, so there is no reason to
/// wait for the last moment with those that will not end by themselves.
/// </summary>
public static class DrainPlan
{
    /// <param name="sequence">Which.</param>
    /// <param name="left">What is left of the grace; null = there is no deadline.</param>
    /// <param name="stepTime">Time of one step there.</param>
    /// <param name="hasTarget">A worker has room for its KV now.</param>
    /// <param name="hasOthers">A worker will take it some time, KV or not.</param>
    /// <param name="policy">Costs.</param>
    public static DrainDecision Decide(
        PoolSequence sequence, TimeSpan? left, TimeSpan stepTime, bool hasTarget, bool hasOthers, DrainPolicy policy)
    {
        if (left is not { } grace) return sequence.IsDecoding && hasTarget ? DrainDecision.Move : DrainDecision.Stay;
        var usable = grace - policy.Margin;
        if (sequence.TokensLeft * stepTime < policy.FinishShare * usable) return DrainDecision.Stay;
        var copy = TimeSpan.FromSeconds(sequence.Blocks / policy.BlocksPerSecond);
        if (sequence.IsDecoding && hasTarget && copy < usable) return DrainDecision.Move;

        // No target yet, or a prefill under way: there may be one, or it may be done, before time is up.
        return hasOthers && usable <= copy ? DrainDecision.Recompute : DrainDecision.Stay;
    }
}
