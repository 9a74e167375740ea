namespace Krewe.Control.Tiers;

/// <summary>
/// What computing prompt tokens costs at the moment: a·n for the layers' products, b for each pair of a token and one
/// that it attends to.
/// </summary>
/// <param name="SecondsPerToken">a: measured wall time, so what decodes of the same steps take is in it.</param>
/// <param name="SecondsPerPair">b.</param>
public readonly record struct PrefillCost(double SecondsPerToken, double SecondsPerPair)
{
    /// <summary>Seconds to compute the tokens at positions [from, to): a·(to - from) + b·(to² - from²) / 2.</summary>
    public double Seconds(int from, int to) =>
        (SecondsPerToken * (to - from)) + (SecondsPerPair * (((double)to * to) - ((double)from * from)) / 2);
}
