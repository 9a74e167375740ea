using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>Why nobody takes a request, and what to change.</summary>
internal static class RouteRefusals
{
    /// <summary>Who lacks: nobody of that phase at all, all of them draining, or none large enough.</summary>
    public static RouteChoice Of(RouteRequest request, RouteTable table, RoutePhase phase)
    {
        int ready = 0, draining = 0;
        foreach (var worker in table.Workers)
        {
            if (!Takes(worker, phase)) continue;
            if (worker.State == WorkerState.Draining) draining++;
            if (worker.State == WorkerState.Ready && !request.Excluded.Contains(worker.Worker)) ready++;
        }

        var code = ready > 0 ? ErrorCode.KvPoolTooSmall : draining > 0 ? ErrorCode.Draining : ErrorCode.NoWorkers;
        return RouteChoice.Refuse(code, phase);
    }

    public static string Explain(RouteRequest request, in RouteChoice choice, RouteTable table)
    {
        var phase = choice.RefusedPhase == RoutePhase.Prefill ? "prefill" : "decode";
        return choice.Refusal switch
        {
            ErrorCode.Draining =>
                $"Every worker that takes {phase} is draining ({CountDraining(table, choice.RefusedPhase)}); try again "
                + "when others have joined.",
            ErrorCode.NoWorkers =>
                $"No worker that takes {phase} is ready; start one with role {phase} or mixed, or try again later.",
            ErrorCode.KvPoolTooSmall => TooSmall(request, choice.RefusedPhase, phase, table),
            _ => FormattableString.Invariant(
                $"{choice.Rule}: the best workers would give the first token after {choice.TtftMs:0} ms (limit ")
                + FormattableString.Invariant(
                    $"{request.TtftSloMs:0}) and each further one in {choice.TpotMs:0.0} ms (limit ")
                + FormattableString.Invariant($"{request.TpotSloMs:0.0}); try again when the load is lower."),
        };
    }

    private static string TooSmall(RouteRequest request, RoutePhase which, string phase, RouteTable table)
    {
        var tokens = which == RoutePhase.Prefill ? request.PrefillTokens : request.ContextTokens;
        RouteWorker? largest = null;
        foreach (var worker in table.Workers)
        {
            if (worker.State == WorkerState.Ready && Takes(worker, which)
                && (largest is null || Slots(worker) > Slots(largest)))
                largest = worker;
        }

        return $"The request needs {tokens} token slots = {largest!.BlocksFor(tokens)} KV blocks of "
            + $"{largest.BlockTokens} tokens in {phase}; the largest pool ({largest.Worker.WorkerId}) has "
            + $"{largest.TotalBlocks} blocks = {Slots(largest)} slots. Ask for fewer tokens, or give workers more KV "
            + "memory.";
    }

    private static long Slots(RouteWorker worker) => (long)worker.TotalBlocks * worker.BlockTokens;

    private static bool Takes(RouteWorker worker, RoutePhase phase) =>
        phase == RoutePhase.Prefill ? worker.TakesPrefill : worker.TakesDecode;

    private static int CountDraining(RouteTable table, RoutePhase phase)
    {
        var count = 0;
        foreach (var worker in table.Workers)
            count += Takes(worker, phase) && worker.State == WorkerState.Draining ? 1 : 0;
        return count;
    }
}
