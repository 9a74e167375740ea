using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// Prefill goes where the fewest prompt tokens are outstanding; decode where the context fits now, then where the
/// fewest sequences are. A mixed worker that wins the prefill and holds the whole context does both: no handoff is
/// cheaper than any. Ties go to the lower worker id, so that a run can be replayed.
/// </summary>
public sealed class LeastLoadedPolicy : IRoutingPolicy
{
    public RouteChoice Choose(RouteQuery query, ImmutableArray<RouteCandidate> workers)
    {
        var ready = workers
            .Where(worker => worker.State == WorkerState.Ready && !query.Excluded.Contains(worker.Worker))
            .ToArray();
        var prefills = ready.Where(worker => worker.TakesPrefill).ToArray();
        var decodes = ready.Where(worker => worker.TakesDecode).ToArray();
        if (prefills.Length == 0)
            return Nobody("prefill", workers, worker => worker.TakesPrefill);
        if (decodes.Length == 0)
            return Nobody("decode", workers, worker => worker.TakesDecode);

        var prefill = prefills
            .Where(worker => worker.BlocksFor(query.PrefillTokens) <= worker.TotalBlocks)
            .OrderBy(worker => worker.OutstandingTokens)
            .ThenBy(worker => worker.Worker.WorkerId, StringComparer.Ordinal)
            .FirstOrDefault();
        if (prefill is null)
            return TooSmall("prefill", query.PrefillTokens, prefills);

        var fits = decodes.Where(worker => worker.BlocksFor(query.ContextTokens) <= worker.TotalBlocks).ToArray();
        if (fits.Length == 0)
            return TooSmall("decode", query.ContextTokens, decodes);
        if (fits.Contains(prefill))
        {
            return new RouteChosen(prefill.Worker, prefill.Worker,
                $"mixed, {prefill.OutstandingTokens} prompt tokens outstanding, the fewest of {prefills.Length}");
        }

        var decode = fits
            .OrderBy(worker => HasRoom(worker, query) ? 0 : 1)
            .ThenBy(worker => worker.Sequences)
            .ThenBy(worker => worker.Worker.WorkerId, StringComparer.Ordinal)
            .First();
        return new RouteChosen(prefill.Worker, decode.Worker,
            $"prefill: {prefill.OutstandingTokens} prompt tokens outstanding, the fewest of {prefills.Length}; decode: "
            + $"{decode.Sequences} sequences, {(HasRoom(decode, query) ? "room now" : "must wait for room")}, "
            + $"best of {fits.Length}");
    }

    private static bool HasRoom(RouteCandidate worker, RouteQuery query) =>
        worker.BlocksFor(query.ContextTokens) <= worker.AvailableBlocks;

    private static RouteRefused Nobody(
        string phase, ImmutableArray<RouteCandidate> workers, Func<RouteCandidate, bool> takes)
    {
        var draining = workers.Count(worker => takes(worker) && worker.State == WorkerState.Draining);
        return draining > 0
            ? new RouteRefused(ErrorCode.Draining,
                $"Every worker that takes {phase} is draining ({draining}); try again when others have joined.")
            : new RouteRefused(ErrorCode.NoWorkers,
                $"No worker that takes {phase} is ready; start one with role {phase} or mixed, or try again later.");
    }

    private static RouteRefused TooSmall(string phase, int tokens, RouteCandidate[] workers)
    {
        var largest = workers
            .OrderByDescending(worker => (long)worker.TotalBlocks * worker.BlockTokens)
            .ThenBy(worker => worker.Worker.WorkerId, StringComparer.Ordinal)
            .First();
        var need = largest.BlocksFor(tokens);
        return new RouteRefused(ErrorCode.KvPoolTooSmall,
            $"The request needs {tokens} token slots = {need} KV blocks of {largest.BlockTokens} tokens in {phase}; "
            + $"the largest pool ({largest.Worker.WorkerId}) has {largest.TotalBlocks} blocks = "
            + $"{(long)largest.TotalBlocks * largest.BlockTokens} slots. Ask for fewer tokens, or give workers more KV "
            + "memory.");
    }
}
