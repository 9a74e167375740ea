using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// A policy's answer: two workers (equal = no handoff), or a refusal. A struct without text: the decision path
/// allocates nothing; <see cref="IRoutingPolicy.Explain"/> makes the words when somebody reads them.
/// </summary>
public readonly record struct RouteChoice
{
    /// <summary>Null = refused.</summary>
    public RouteWorker? Prefill { get; init; }

    public RouteWorker? Decode { get; init; }

    /// <summary>Why nobody takes it; null = chosen.</summary>
    public ErrorCode? Refusal { get; init; }

    /// <summary>The phase that nobody takes, when refused.</summary>
    public RoutePhase RefusedPhase { get; init; }

    /// <summary>Prompt tokens that need not be computed: resident, restored or pulled.</summary>
    public int HitTokens { get; init; }

    /// <summary>Of these, tokens to be restored from a lower tier of the prefill worker.</summary>
    public int RestoreTokens { get; init; }

    /// <summary>Of these, tokens to be pulled from another worker's cache: this also copies a hot prefix.</summary>
    public int PullTokens { get; init; }

    /// <summary>The slot of the worker that has them.</summary>
    public int? PullFromSlot { get; init; }

    /// <summary>Predictions, from arrival; NaN where the policy predicts nothing.</summary>
    public double TtftMs { get; init; }

    public double TpotMs { get; init; }

    /// <summary>What the policy compared, in its own unit; lower won.</summary>
    public double Cost { get; init; }

    /// <summary>What decided, in a few words.</summary>
    public string Rule { get; init; }

    public bool IsRefused => Refusal is not null;

    public bool NeedsHandoff => Prefill != Decode;

    public static RouteChoice Refuse(ErrorCode code, RoutePhase phase, string rule = "") =>
        new() { Refusal = code, RefusedPhase = phase, Rule = rule, TtftMs = double.NaN, TpotMs = double.NaN };
}

/// <summary>What a worker is chosen for.</summary>
public enum RoutePhase
{
    Prefill,
    Decode,
}
