using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// What all policies share: who may be chosen at all. A policy sees only workers that are ready, not excluded, of the
/// right role and large enough, so that none can choose another.
/// </summary>
public abstract class RoutePolicy : IRoutingPolicy
{
    private RouteWorker[] _prefills = [];
    private RouteWorker[] _decodes = [];

    public abstract string Name { get; }

    public virtual PrefixUse Prefix => PrefixUse.None;

    public RouteChoice Choose(RouteRequest request, RouteTable table)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(table);
        var workers = table.Workers;
        if (_prefills.Length < workers.Length)
        {
            _prefills = new RouteWorker[2 * workers.Length];
            _decodes = new RouteWorker[2 * workers.Length];
        }

        int prefills = 0, decodes = 0;
        var excludes = !request.Excluded.IsEmpty;
        foreach (var worker in workers)
        {
            if (worker.State != WorkerState.Ready || (excludes && IsExcluded(request, worker))) continue;
            if (worker.TakesPrefill && worker.Holds(request.PrefillTokens)) Put(_prefills, prefills++, worker);
            if (worker.TakesDecode && worker.Holds(request.ContextTokens)) Put(_decodes, decodes++, worker);
        }

        // With no prefill worker left, decode workers that can compute whole requests stand in.
        if (prefills == 0)
        {
            foreach (var worker in _decodes.AsSpan(0, decodes))
            {
                if (worker.TakesWhole) Put(_prefills, prefills++, worker);
            }
        }

        if (prefills == 0 || decodes == 0)
            return RouteRefusals.Of(request, table, prefills == 0 ? RoutePhase.Prefill : RoutePhase.Decode);
        return Pick(request, new RouteCandidates(_prefills.AsSpan(0, prefills), _decodes.AsSpan(0, decodes)));
    }

    public virtual string Explain(RouteRequest request, in RouteChoice choice, RouteTable table) =>
        choice.IsRefused ? RouteRefusals.Explain(request, choice, table) : RouteWords.Of(Name, choice, table);

    public virtual void Forget(int slot)
    {
    }

    /// <summary>Chooses among workers that all can; neither list is empty.</summary>
    protected abstract RouteChoice Pick(RouteRequest request, RouteCandidates candidates);

    // Hardly ever another one than at the last decision; a write of a reference costs several times a read.
    private static void Put(RouteWorker[] workers, int place, RouteWorker worker)
    {
        if (workers[place] != worker) workers[place] = worker;
    }

    private static bool IsExcluded(RouteRequest request, RouteWorker worker)
    {
        foreach (var excluded in request.Excluded)
        {
            if (excluded == worker.Worker) return true;
        }

        return false;
    }
}

/// <summary>Workers that can take a request: none of them is lost, draining, excluded or too small.</summary>
public readonly ref struct RouteCandidates(ReadOnlySpan<RouteWorker> prefills, ReadOnlySpan<RouteWorker> decodes)
{
    public ReadOnlySpan<RouteWorker> Prefills { get; } = prefills;

    public ReadOnlySpan<RouteWorker> Decodes { get; } = decodes;
}
