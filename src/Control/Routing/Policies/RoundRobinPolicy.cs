namespace Krewe.Control.Routing;

/// <summary>
/// Each worker in turn. The turn follows the id last used, not an index: a worker that leaves makes nobody skip.
/// </summary>
public sealed class RoundRobinPolicy : TwoStagePolicy
{
    private string _lastPrefill = "";
    private string _lastDecode = "";

    public override string Name => "round-robin";

    protected override string Rule => "next in turn";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        After(workers, ref _lastPrefill);

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers) =>
        After(workers, ref _lastDecode);

    /// <summary>The first id behind the last one; candidates are in the order of their ids.</summary>
    private static RouteWorker After(ReadOnlySpan<RouteWorker> workers, ref string last)
    {
        int low = 0, high = workers.Length;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (string.CompareOrdinal(workers[middle].Worker.WorkerId, last) <= 0) low = middle + 1;
            else high = middle;
        }

        var next = workers[low == workers.Length ? 0 : low];
        last = next.Worker.WorkerId;
        return next;
    }
}
