using Krewe.Control.Routing;

namespace Krewe.Simulation;

/// <summary>
/// Routing's six numbers from a cost model: what a silo would learn from its workers' measured steps.
/// </summary>
internal static class StepCostFit
{
    // Up to the longest contexts: a prediction far beyond the fitted lengths is off by a fifth.
    private static readonly int[] Lengths =
        [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072];

    private static readonly int[] Batches = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    private static readonly int[] Contexts = [128, 512, 1024, 2048, 4096, 8192];

    /// <summary>Fits over lengths and batches that a pool of <paramref name="capacityTokens"/> holds.</summary>
    public static StepCosts Of(IStepCost cost, int capacityTokens)
    {
        var (rows, values) = (new List<double[]>(), new List<double>());
        foreach (var tokens in Lengths)
        {
            if (tokens > capacityTokens) break;
            var load = default(StepLoad);
            load.AddPrefill(tokens, 0, cost.PrefillAttentionSeconds(tokens, 0));
            load.LogitRows = 1;
            rows.Add([1, tokens, tokens * (tokens + 1) / 2.0]);
            values.Add(1000 * cost.StepSeconds(load));
        }

        var prefill = LeastSquares.FitRelative(rows, values);
        (rows, values) = ([], []);
        foreach (var batch in Batches)
        {
            foreach (var context in Contexts)
            {
                if ((long)batch * context > capacityTokens) break;
                var load = default(StepLoad);
                for (var i = 0; i < batch; i++) load.AddDecode(context);
                rows.Add([1, batch, (double)batch * context]);
                values.Add(1000 * cost.StepSeconds(load));
            }
        }

        var decode = LeastSquares.FitRelative(rows, values);
        return new StepCosts
        {
            PrefillFixedMs = Math.Max(0, prefill[0]),
            PrefillTokenMs = Math.Max(0, prefill[1]),
            PrefillPairMs = Math.Max(0, prefill[2]),
            DecodeFixedMs = Math.Max(0, decode[0]),
            DecodeSequenceMs = Math.Max(0, decode[1]),
            DecodeContextMs = Math.Max(0, decode[2]),
        };
    }
}
