namespace Krewe.Control.Admission;

/// <summary>
/// Time that each tenant may make a silo work before its request is admitted: it flows in steadily up to a burst, and
/// whoever has some left may begin, however long it then takes. Not thread-safe.
/// </summary>
/// <param name="burstMs">What a tenant has after a while without.</param>
/// <param name="share">Of one core, over time.</param>
/// <param name="leastMs">What one piece of work costs at least, so that very many at once are bounded as well.</param>
public sealed class WorkBudgets(double burstMs, double share, double leastMs)
{
    private readonly Dictionary<string, (double LevelMs, double AtMs)> _tenants = new(StringComparer.Ordinal);

    /// <summary>Takes the least that a piece of work costs; zero, or how long to wait until it may begin.</summary>
    /// <param name="nowMs">On one clock.</param>
    public TimeSpan Take(string tenant, double nowMs)
    {
        var level = LevelOf(tenant, nowMs);
        if (level < leastMs) return TimeSpan.FromMilliseconds((leastMs - level) / share);
        _tenants[tenant] = (level - leastMs, nowMs);
        return TimeSpan.Zero;
    }

    /// <summary>The work took so long; beyond the least it is paid for now, in advance of the next.</summary>
    public void Settle(string tenant, double ms, double nowMs) =>
        _tenants[tenant] = (LevelOf(tenant, nowMs) - Math.Max(0, ms - leastMs), nowMs);

    private double LevelOf(string tenant, double nowMs) => _tenants.TryGetValue(tenant, out var had)
        ? Math.Min(burstMs, had.LevelMs + (Math.Max(0, nowMs - had.AtMs) * share))
        : burstMs;
}
