using Krewe.Abstractions;

namespace Krewe.KvStore;

/// <summary>What bringing a block up would cost, for the rule "load only if cheaper than recomputing".</summary>
/// <param name="Tier">Fastest tier that holds the block.</param>
/// <param name="Bytes">Bytes to move.</param>
/// <param name="Duration">Bytes over the tier's bandwidth under its present load.</param>
/// <param name="Measured">False while the tier has not served enough reads and the configured bandwidth is
/// used.</param>
public readonly record struct LoadEstimate(KvTier Tier, long Bytes, TimeSpan Duration, bool Measured);
