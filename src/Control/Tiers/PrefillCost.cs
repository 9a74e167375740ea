namespace Krewe.Control.Tiers;

/// <summary>
/// What computing KV takes here now, from measured steps. Time of the tokens [from, to) =
/// a (to - from) + b (to^2 - from^2) / 2: products cost the same for each token, attention grows with its position.
/// </summary>
/// <param name="SecondsPerToken">a; what the load leaves of the worker counts, so a busy one has a larger a.</param>
/// <param name="SecondsPerTokenAndPosition">b; 0 where attention was not told apart.</param>
public readonly record struct PrefillCost(double SecondsPerToken, double SecondsPerTokenAndPosition = 0)
{
    /// <summary>Nothing was measured yet: <see cref="TierRule"/> then computes, and so measures.</summary>
    public static PrefillCost Unknown => default;

    public bool IsKnown => SecondsPerToken > 0;

    /// <summary>Estimated time to compute tokens [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public TimeSpan Of(int from, int to)
    {
        var squares = ((double)to * to) - ((double)from * from);
        return TimeSpan.FromSeconds(
            (SecondsPerToken * (to - from)) + (SecondsPerTokenAndPosition * squares / 2));
    }
}
