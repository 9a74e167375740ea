using Orleans;

namespace Krewe.Abstractions;

/// <summary>A worker process as it is now: name, and the incarnation that tells it from its predecessor.</summary>
[GenerateSerializer, Immutable]
public readonly record struct WorkerIncarnation([property: Id(0)] string WorkerId, [property: Id(1)] ulong Incarnation)
{
    public override string ToString() => $"{WorkerId}#{Incarnation:x8}";
}

/// <summary>Which workers compute one attempt (epoch) of a request, and the leases it holds on them.</summary>
/// <param name="Epoch">The attempt this plan is for.</param>
/// <param name="Prefill">Where the prompt is computed.</param>
/// <param name="Decode">Where tokens are decoded; equal to <paramref name="Prefill"/> when no handoff is
/// needed.</param>
/// <param name="PrefixHitTokens">Prompt tokens expected to be in the prefill worker's prefix cache.</param>
/// <param name="Reason">Why these two, in words an operator can read.</param>
[GenerateSerializer, Immutable]
public sealed record RoutePlan(
    [property: Id(0)] int Epoch,
    [property: Id(1)] WorkerIncarnation Prefill,
    [property: Id(2)] WorkerIncarnation Decode,
    [property: Id(3)] int PrefixHitTokens,
    [property: Id(4)] string Reason)
{
    public bool NeedsHandoff => Prefill != Decode;

    /// <summary>A worker that holds more of the prompt's prefix than <see cref="Prefill"/>: it may be pulled from
    /// there.</summary>
    [Id(5)] public WorkerIncarnation? PrefixHolder { get; init; }

    /// <summary>Prompt tokens, from the first on, that it is known to hold.</summary>
    [Id(6)] public int PrefixHolderTokens { get; init; }
}
