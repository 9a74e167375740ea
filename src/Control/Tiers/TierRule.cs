namespace Krewe.Control.Tiers;

/// <summary>
/// Load or recompute: one rule for every tier (host, disk, another worker). Pure: costs are measured by the caller.
/// </summary>
public static class TierRule
{
    /// <summary>
    /// The offer after which the sequence's known tokens have their KV soonest, or null when computing is at least as
    /// fast. An offer is worth its load and computing what it leaves: a far tier that knows more may beat a near one.
    /// </summary>
    /// <param name="residentTokens">Tokens whose KV is in the pool already.</param>
    /// <param name="knownTokens">Tokens whose KV is needed.</param>
    /// <param name="offers">In any order; one with no more than the resident tokens is worth nothing.</param>
    /// <param name="compute">Recomputing, under the present load. Unknown: nothing is loaded.</param>
    public static TierOffer? Choose(
        int residentTokens, int knownTokens, ReadOnlySpan<TierOffer> offers, PrefillCost compute)
    {
        if (!compute.IsKnown) return null;
        var best = compute.Of(residentTokens, knownTokens);
        TierOffer? chosen = null;
        foreach (var offer in offers)
        {
            var end = Math.Min(offer.Tokens, knownTokens);
            if (end <= residentTokens) continue;
            var total = offer.Load + compute.Of(end, knownTokens);
            if (total >= best) continue;
            (best, chosen) = (total, offer);
        }

        return chosen;
    }
}
