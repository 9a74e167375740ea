namespace Krewe.Control.Routing;

/// <summary>Counts a choice on its workers at once, so that the next decision sees it before any report does.</summary>
public static class RouteDispatch
{
    public static void Count(RouteRequest request, in RouteChoice choice)
    {
        if (choice.Prefill is not { } prefill || choice.Decode is not { } decode) return;
        var compute = Math.Max(1, request.PrefillTokens - choice.HitTokens);
        prefill.CountPrefill(compute, prefill.Steps.PrefillMs(compute, choice.HitTokens, prefill.StepBudgetTokens));
        decode.CountDecode(request.MeanContextTokens);
        // One sequence in two phases.
        if (!choice.NeedsHandoff) decode.DispatchedSequences--;
    }
}
