namespace Krewe.Control.Routing;

/// <summary>
/// Prefill goes where the fewest prompt tokens are outstanding; decode where the context fits now, then where the
/// fewest sequences are. Ties go to the lower worker id.
/// </summary>
public sealed class LeastLoadedPolicy : TwoStagePolicy
{
    public override string Name => "least-loaded";

    protected override string Rule => "fewest prompt tokens outstanding, then fewest sequences with room";

    protected override RouteWorker PickPrefill(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var best = workers[0];
        foreach (var worker in workers)
        {
            if (worker.OutstandingTokens < best.OutstandingTokens) best = worker;
        }

        return best;
    }

    protected override RouteWorker PickDecode(RouteRequest request, ReadOnlySpan<RouteWorker> workers)
    {
        var best = workers[0];
        foreach (var worker in workers)
        {
            var (room, bestRoom) = (HasRoom(worker, request), HasRoom(best, request));
            if (room == bestRoom ? worker.Sequences < best.Sequences : room) best = worker;
        }

        return best;
    }

    private static bool HasRoom(RouteWorker worker, RouteRequest request) =>
        worker.BlocksFor(request.ContextTokens) <= worker.FreeBlocks;
}
