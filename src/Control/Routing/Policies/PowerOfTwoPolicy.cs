namespace Krewe.Control.Routing;

/// <summary>
/// Two workers drawn, the less loaded of them taken (Mitzenmacher, 2001): most of the gain of knowing all loads, and
/// no herd when loads are stale.
/// </summary>
public sealed class PowerOfTwoPolicy(ulong seed) : TwoStagePolicy
{
    private RouteRandom _random = new(seed);

    public override string Name => "power-of-two";

    protected override string Rule => "the less loaded of two drawn";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var (a, b) = Draw(workers);
        return a.OutstandingTokens <= b.OutstandingTokens ? a : b;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var (a, b) = Draw(workers);
        return a.KvUsage <= b.KvUsage ? a : b;
    }

    private (RouteWorker A, RouteWorker B) Draw(ReadOnlySpan<RouteWorker> workers)
    {
        var first = _random.Below(workers.Length);
        if (workers.Length == 1) return (workers[0], workers[0]);
        var second = _random.Below(workers.Length - 1);
        return (workers[first], workers[second < first ? second : second + 1]);
    }
}
