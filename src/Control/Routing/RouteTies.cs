namespace Krewe.Control.Routing;

/// <summary>The worker of least cost; among equal ones each with equal chance, in one pass.</summary>
internal ref struct RouteTies(ref RouteRandom random)
{
    private readonly ref RouteRandom _random = ref random;
    private double _cost = double.PositiveInfinity;
    private int _equal;

    /// <summary>Set after the first offer.</summary>
    public RouteWorker Best { get; private set; } = null!;

    public void Offer(RouteWorker worker, double cost)
    {
        if (_equal > 0 && cost > _cost) return;
        _equal = _equal > 0 && cost == _cost ? _equal + 1 : 1;
        if (_equal > 1 && _random.Below(_equal) != 0) return;
        _cost = cost;
        Best = worker;
    }
}
