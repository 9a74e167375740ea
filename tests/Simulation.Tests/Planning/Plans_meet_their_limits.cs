namespace Krewe.Simulation.Tests.Planning;

public sealed class Plans_meet_their_limits
{
    private static readonly PlanOptions Opt13b = new()
    {
        Hardware = new Deployment { Model = ModelShape.Find("opt-13b"), Gpu = GpuShape.Find("a100") },
        Workload = Arrivals.Draw(
            new Trace("pairs", [new TraceRequest(0, 700, 200), new TraceRequest(0, 300, 100)], [], 1), 5, 1, 200, 1),
        Slo = new ServiceLevel(0.25, 0.1),
        TrialRequests = 200,
    };

    [Fact]
    public void Apart_each_pool_takes_its_best_shape_and_enough_instances()
    {
        var plan = PlacementPlanner.Plan(Opt13b with { RatePerSecond = 20 });

        Assert.True(plan.PrefillInstances * plan.Prefill.RatePerSecond >= 20);
        Assert.True(plan.DecodeInstances * plan.Decode.RatePerSecond >= 20);
        Assert.True((plan.PrefillInstances - 1) * plan.Prefill.RatePerSecond < 20);
        var single = PlacementPlanner.Plan(Opt13b with { RatePerSecond = 20, GpusPerNode = 1 });
        Assert.True(plan.GoodputPerGpu >= single.GoodputPerGpu);
    }

    [Fact]
    public void Together_the_pair_fits_into_a_node()
    {
        var plan = PlacementPlanner.Plan(Opt13b with { Affinity = NodeAffinity.Low, StagesMax = 2, GpusPerNode = 4 });

        Assert.InRange(plan.Prefill.Gpus + plan.Decode.Gpus, 2, 4);
        Assert.Equal(plan.PrefillInstances, plan.DecodeInstances);
        Assert.True(plan.GoodputPerGpu > 0);
    }

    [Fact]
    public void Tighter_limits_cost_goodput()
    {
        var loose = PlacementPlanner.Plan(Opt13b);
        var tight = PlacementPlanner.Plan(Opt13b with { Slo = new ServiceLevel(0.12, 0.06) });

        Assert.True(tight.GoodputPerGpu < loose.GoodputPerGpu);
    }

    [Fact]
    public void A_model_that_no_shape_holds_is_refused_with_the_arithmetic() => Assert.Contains(
        "does not fit on 2 x rtx4090",
        Assert.Throws<SimulationException>(() => PlacementPlanner.Plan(Opt13b with
        {
            Hardware = new Deployment { Model = ModelShape.Find("llama-3.1-70b"), Gpu = GpuShape.Find("rtx4090") },
            GpusPerNode = 2,
        })).Message);

    [Fact]
    public void Limits_that_nothing_meets_are_said() => Assert.Contains(
        "loosen the limits",
        Assert.Throws<SimulationException>(() => PlacementPlanner.Plan(Opt13b with
        {
            Slo = new ServiceLevel(0.001, 0.1),
        })).Message);

    [Fact]
    public void On_the_trace_the_smallest_pools_that_meet_the_limits_are_found()
    {
        var template = Cells.Cells.Options(CellMode.Disagg) with { Slo = new ServiceLevel(0.5, 0.05) };
        var trace = Cells.Cells.Mixed(600, 120);
        var trials = 0;

        var apart = CellPlanner.Apart(template, trace, 0.9, 1, 1, _ => trials++, CancellationToken.None);
        var together = CellPlanner.Together(
            template with { Mode = CellMode.Chunked }, trace, 0.9, 1, _ => { trials++; }, CancellationToken.None);

        Assert.True(apart.Meets && together.Meets);
        Assert.InRange(trials, 4, 60);
        foreach (var (p, d) in new[] { (1, 0), (0, 1) })
        {
            var (prefill, decode) = (apart.Options.PrefillWorkers - p, apart.Options.DecodeWorkers - d);
            if (prefill < 1 || decode < 1) continue;
            var smaller = new CellSimulator(
                template with { PrefillWorkers = prefill, DecodeWorkers = decode }, trace).Run();
            Assert.True(smaller.TtftAttainment < 0.9 || smaller.TpotAttainment < 0.9);
        }
    }
}
