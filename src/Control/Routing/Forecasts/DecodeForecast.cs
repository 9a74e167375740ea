namespace Krewe.Control.Routing;

/// <summary>What a sequence would meet on one decode worker, and what it would cost those that are there.</summary>
internal static class DecodeForecast
{
    /// <summary>Output tokens when nobody knows: a chat answer's usual few hundred.</summary>
    private const int UsualOutputTokens = 256;

    public static int OutputTokens(RouteRequest request) =>
        request.ExpectedOutputTokens > 0 ? request.ExpectedOutputTokens : UsualOutputTokens;

    /// <summary>The decode step with this sequence in it.</summary>
    public static double StepMs(RouteRequest request, RouteWorker worker) => worker.Costs.DecodeMs(
        worker.DecodingSequences + 1, worker.DecodingContextTokens + request.MeanContextTokens);

    /// <summary>
    /// Time until the pool has room for the context as it is after prefill. Sequences end at random points of their
    /// outputs, so that the pool turns over once in an output's time: room comes at contexts / (output * step).
    /// </summary>
    public static double WaitMs(RouteRequest request, RouteWorker worker)
    {
        double missing = request.PrefillTokens + worker.BlockTokens - worker.FreeTokens;
        var crowd = worker.DecodingSequences + 1 - worker.MaxSequences;
        if (missing <= 0 && crowd <= 0) return 0;
        var lifeMs = OutputTokens(request) * worker.Costs.DecodeMs(
            worker.DecodingSequences, worker.DecodingContextTokens);
        var forRoom = missing * lifeMs / Math.Max(1, worker.DecodingContextTokens);
        var forPlace = crowd * lifeMs / Math.Max(1, worker.DecodingSequences);
        return Math.Max(forRoom, forPlace);
    }

    /// <summary>What every token of this sequence adds to the step of each other one there.</summary>
    public static double BurdenMs(RouteRequest request, RouteWorker worker) =>
        worker.Costs.DecodeSequenceMs + (request.MeanContextTokens * worker.Costs.DecodeContextMs);

    /// <summary>The delay that it adds to itself and to the others there by its steps and its burden.</summary>
    public static double StepsCostMs(RouteRequest request, RouteWorker worker, int tokens)
    {
        ref readonly var costs = ref worker.Costs;
        var sequences = worker.DecodingSequences;
        var context = request.MeanContextTokens;
        var stepMs = costs.DecodeMs(sequences + 1, worker.DecodingContextTokens + context);
        var burdenMs = costs.DecodeSequenceMs + (context * costs.DecodeContextMs);
        return tokens * (stepMs + (burdenMs * sequences));
    }

    /// <summary>
    /// After the last prefill step only that step's KV is still on its way: whole blocks travel while prefill runs.
    /// </summary>
    public static double HandoffTailMs(RouteWorker prefill, RouteWorker decode, int computed)
    {
        if (prefill == decode) return 0;
        var tail = Math.Min(computed, prefill.StepBudgetTokens);
        var bytesPerMs = Math.Min(prefill.LinkBytesPerMs, decode.LinkBytesPerMs);
        return decode.LinkLatencyMs + (tail * decode.KvBytesPerToken / bytesPerMs);
    }
}
