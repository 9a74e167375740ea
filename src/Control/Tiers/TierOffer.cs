using Krewe.Abstractions;

namespace Krewe.Control.Tiers;

/// <summary>What a tier could bring: the KV of a sequence's first <paramref name="Tokens"/> tokens.</summary>
/// <param name="Tier">Where it lies.</param>
/// <param name="Tokens">Tokens from the sequence's first that would have KV after the load.</param>
/// <param name="Load">Estimated time until it is all there: bytes that are missing over the tier's bandwidth, measured
/// under its present load, and its latency.</param>
public readonly record struct TierOffer(KvTier Tier, int Tokens, TimeSpan Load);
