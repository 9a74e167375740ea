using Krewe.Simulation.DistServe;

namespace Krewe.Simulation;

/// <summary>
/// DistServe's placement search (OSDI'24, algorithms 1 and 2) on the DistServe simulator. Shapes are tried side by
/// side; the result does not depend on how many processors there are.
/// </summary>
public static class PlacementPlanner
{
    /// <summary>
    /// The pools for the target rate; <see cref="SimulationException"/> when no shape holds the model, with the
    /// arithmetic, or none meets the limits.
    /// </summary>
    public static PlacementPlan Plan(PlanOptions options, CancellationToken cancellation = default)
    {
        if (!(options.TargetRate > 0))
        {
            throw new SimulationException(
                "The target rate is 0: give --target-rate, or a trace whose requests arrive over time.");
        }

        return options.Affinity == NodeAffinity.High
            ? PlanApart(options, cancellation)
            : PlanTogether(options, cancellation);
    }

    // Algorithm 1: the best prefill shape and the best decode shape, each by itself.
    private static PlacementPlan PlanApart(PlanOptions options, CancellationToken cancellation)
    {
        var shapes = Shapes(options, options.GpusPerNode * options.NodesMax);
        var search = new GoodputSearch(options);
        var prefill = new double[shapes.Count];
        var decode = new double[shapes.Count];
        Parallel.For(0, 2 * shapes.Count, new ParallelOptions { CancellationToken = cancellation }, i =>
        {
            var (shape, costs) = shapes[i / 2];
            if (i % 2 == 0) prefill[i / 2] = search.HighestRate(new StagePools(costs, 1, null, 0));
            else decode[i / 2] = search.HighestRate(new StagePools(null, 0, costs, 1));
        });
        var bestPrefill = Best(shapes, prefill, "prefill", options);
        var bestDecode = Best(shapes, decode, "decode", options);
        return new PlacementPlan
        {
            Affinity = NodeAffinity.High,
            Prefill = bestPrefill,
            Decode = bestDecode,
            PrefillInstances = Instances(options.TargetRate, bestPrefill.RatePerSecond),
            DecodeInstances = Instances(options.TargetRate, bestDecode.RatePerSecond),
            TargetRate = options.TargetRate,
            Candidates = 2 * shapes.Count,
        };
    }

    // Algorithm 2: one prefill and one decode instance share each node (segment by segment), simulated together.
    private static PlacementPlan PlanTogether(PlanOptions options, CancellationToken cancellation)
    {
        var pairs = new List<(int Segments, InstanceShape Prefill, InstanceShape Decode, StagePools Pools)>();
        for (var segments = 1; segments <= options.NodesMax; segments++)
        {
            if (options.Hardware.Model.Layers % segments != 0) continue;
            var shapes = SegmentShapes(options, segments);
            foreach (var (prefill, prefillCosts) in shapes)
            {
                foreach (var (decode, decodeCosts) in shapes)
                {
                    var gpus = (prefill.TensorParallel * prefill.PipelineParallel)
                        + (decode.TensorParallel * decode.PipelineParallel);
                    if (gpus > options.GpusPerNode) continue;
                    pairs.Add((segments, prefill, decode, new StagePools(prefillCosts, 1, decodeCosts, 1)));
                }
            }
        }

        if (pairs.Count == 0) throw NothingHolds(options, options.GpusPerNode / 2);
        var search = new GoodputSearch(options);
        var rates = new double[pairs.Count];
        Parallel.For(0, pairs.Count, new ParallelOptions { CancellationToken = cancellation },
            i => rates[i] = search.HighestRate(pairs[i].Pools));
        double PerGpu(int i) => rates[i] / (pairs[i].Segments * (Gpus(pairs[i].Prefill) + Gpus(pairs[i].Decode)));
        var best = Enumerable.Range(0, pairs.Count).MaxBy(PerGpu);
        if (rates[best] == 0) throw NobodyMeets(options, "prefill with decode");
        var instances = Instances(options.TargetRate, rates[best]);
        return new PlacementPlan
        {
            Affinity = NodeAffinity.Low,
            Prefill = new InstancePlan(pairs[best].Prefill, rates[best]),
            Decode = new InstancePlan(pairs[best].Decode, rates[best]),
            PrefillInstances = instances,
            DecodeInstances = instances,
            Segments = pairs[best].Segments,
            TargetRate = options.TargetRate,
            Candidates = pairs.Count,
        };
    }

    private static int Gpus(InstanceShape shape) => shape.TensorParallel * shape.PipelineParallel;

    private static List<(InstanceShape Shape, StageCosts Costs)> Shapes(PlanOptions options, int gpusMax)
    {
        var found = new List<(InstanceShape, StageCosts)>();
        for (var tensor = 1; tensor <= Math.Min(options.GpusPerNode, gpusMax); tensor++)
        {
            for (var stages = 1; stages <= options.StagesMax && tensor * stages <= gpusMax; stages++)
            {
                var shape = new InstanceShape(tensor, stages);
                if (InstanceCosts.TryGet(options, shape) is { } costs) found.Add((shape, costs));
            }
        }

        return found.Count > 0 ? found : throw NothingHolds(options, gpusMax);
    }

    /// <summary>Shapes of one node's part of an instance whose layers are split over so many nodes.</summary>
    private static List<(InstanceShape Shape, StageCosts Costs)> SegmentShapes(PlanOptions options, int segments)
    {
        var found = new List<(InstanceShape, StageCosts)>();
        for (var tensor = 1; tensor < options.GpusPerNode; tensor++)
        {
            for (var stages = 1; stages * segments <= Math.Max(options.StagesMax, segments)
                && tensor * stages < options.GpusPerNode; stages++)
            {
                var whole = new InstanceShape(tensor, stages * segments);
                if (InstanceCosts.TryGet(options, whole) is { } costs)
                    found.Add((new InstanceShape(tensor, stages), costs));
            }
        }

        return found;
    }

    private static InstancePlan Best(
        List<(InstanceShape Shape, StageCosts Costs)> shapes, double[] rates, string phase, PlanOptions options)
    {
        var plans = shapes.Select((s, i) => new InstancePlan(s.Shape, rates[i])).ToArray();
        var best = plans.MaxBy(p => p.RatePerGpu)!;
        return best.RatePerSecond > 0 ? best : throw NobodyMeets(options, phase);
    }

    private static int Instances(double rate, double ofOne) => (int)Math.Max(1, Math.Ceiling(rate / ofOne));

    private static SimulationException NothingHolds(PlanOptions options, int gpus)
    {
        try
        {
            // The largest shape's own refusal says why, number by number.
            (options.Hardware with { TensorParallel = Math.Max(1, gpus) }).CapacityTokens();
        }
        catch (SimulationException error)
        {
            return error;
        }

        return new SimulationException(
            $"No shape of up to {gpus} GPUs holds {options.Hardware.Model.Name}; allow more nodes or stages.");
    }

    private static SimulationException NobodyMeets(PlanOptions options, string phase) => new(
        $"No shape meets TTFT {options.Slo.TtftSeconds} s and TPOT {options.Slo.TpotSeconds} s in {phase} even for "
        + "single requests; loosen the limits, take a faster GPU, or shorten the prompts.");
}
