namespace Krewe.Control.Routing;

/// <summary>Any worker, with equal chance. Everything better must beat it.</summary>
public sealed class RandomPolicy(ulong seed) : TwoStagePolicy
{
    private RouteRandom _random = new(seed);

    public override string Name => "random";

    protected override string Rule => "drawn";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        workers[_random.Below(workers.Length)];

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        workers[_random.Below(workers.Length)];
}
