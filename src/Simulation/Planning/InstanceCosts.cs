using Krewe.Simulation.DistServe;

namespace Krewe.Simulation;

/// <summary>
/// Stage costs of an instance for the planner: the published fit where there is one, else one fitted to the cost model
/// in the paper's form (appendix A): a + b sum(length) + c sum(length^2), and a + b sum(context) + c batch.
/// </summary>
internal static class InstanceCosts
{
    private const int LargeBatch = 95;

    private static readonly Dictionary<string, string> PublishedModels = new(StringComparer.Ordinal)
    {
        ["opt-13b"] = "13b",
        ["opt-66b"] = "66b",
    };

    /// <summary>Null when the model does not fit into that shape or cannot be split so.</summary>
    public static StageCosts? TryGet(PlanOptions options, InstanceShape shape)
    {
        var deployment = options.Hardware with
        {
            TensorParallel = shape.TensorParallel,
            PipelineParallel = shape.PipelineParallel,
        };
        try
        {
            if (options.UsePublishedFits && options.Hardware.Gpu.Name == "a100"
                && PublishedModels.TryGetValue(options.Hardware.Model.Name, out var size))
                return CostTable.Load().For("distserve", size, shape);
            return Fit(deployment);
        }
        catch (SimulationException)
        {
            return null;
        }
    }

    private static StageCosts Fit(Deployment deployment)
    {
        var capacity = deployment.CapacityTokens();
        var cost = CostModels.For(deployment with { PipelineParallel = 1 });
        return new StageCosts(
            FitPrefill(cost, capacity), FitDecode(cost, capacity, 1, LargeBatch - 1),
            FitDecode(cost, capacity, LargeBatch, 512), LargeBatch, deployment.PipelineParallel, capacity);
    }

    private static Fit FitPrefill(IStepCost cost, int capacity)
    {
        var (rows, values) = (new List<double[]>(), new List<double>());
        for (var tokens = 32; tokens <= Math.Min(capacity, 32_768); tokens *= 2)
        {
            for (var batch = 1; batch * tokens <= Math.Min(capacity, 32_768) && batch <= 8; batch *= 2)
            {
                var load = default(StepLoad);
                for (var i = 0; i < batch; i++) load.AddPrefill(tokens, 0, cost.PrefillAttentionSeconds(tokens, 0));
                load.LogitRows = batch;
                rows.Add([1, batch * tokens, load.PrefillSquares]);
                values.Add(1000 * cost.StepSeconds(load));
            }
        }

        return Coefficients(rows, values);
    }

    private static Fit FitDecode(IStepCost cost, int capacity, int least, int most)
    {
        var (rows, values) = (new List<double[]>(), new List<double>());
        for (var batch = least; batch <= most; batch = Math.Max(batch + 1, batch * 3 / 2))
        {
            var held = Math.Max(capacity, 64 * batch);
            for (var context = 64; context <= 8192 && (long)batch * context <= held; context *= 2)
            {
                var load = default(StepLoad);
                for (var i = 0; i < batch; i++) load.AddDecode(context);
                rows.Add([1, (double)batch * context, batch]);
                values.Add(1000 * cost.StepSeconds(load));
            }
        }

        return Coefficients(rows, values);
    }

    private static Fit Coefficients(List<double[]> rows, List<double> values)
    {
        var fit = LeastSquares.FitRelative(rows, values);
        return new Fit(Math.Max(0, fit[0]), Math.Max(0, fit[1]), Math.Max(0, fit[2]));
    }
}
