namespace Krewe.Simulation.Tests.Costs;

public sealed class Step_costs_make_sense
{
    public static TheoryData<string, string, int> Deployments => new()
    {
        { "llama-3.1-70b", "h100", 4 }, { "llama-3.1-70b", "h200", 2 }, { "llama-2-70b", "a100", 4 },
        { "llama-3.1-8b", "rtx4090", 1 }, { "llama-3.1-8b", "rtxpro6000", 1 }, { "yi-34b", "a100", 2 },
    };

    [Theory]
    [MemberData(nameof(Deployments))]
    public void Measured_and_roofline_agree_within_a_factor_of_two_and_a_half(string model, string gpu, int tp)
    {
        var deployment = Of(model, gpu, tp);
        var measured = MeasuredCost.TryCreate(deployment)!;
        var roofline = new RooflineCost(deployment);
        foreach (var (prompt, batch, context) in new[] { (512, 0, 0), (8192, 0, 0), (0, 1, 1000), (0, 64, 1000) })
        {
            var ratio = Seconds(measured, prompt, batch, context) / Seconds(roofline, prompt, batch, context);

            Assert.InRange(ratio, 0.4, 2.5);
        }
    }

    [Theory]
    [MemberData(nameof(Deployments))]
    public void More_work_never_takes_less_time(string model, string gpu, int tp)
    {
        var cost = MeasuredCost.TryCreate(Of(model, gpu, tp))!;
        var prompts = new[] { 128, 512, 2048, 8192, 32_768 }.Select(t => Seconds(cost, t, 0, 0)).ToArray();
        var batches = new[] { 1, 8, 64, 256 }.Select(b => Seconds(cost, 0, b, 2000)).ToArray();

        Assert.Equal(prompts.Order(), prompts);
        Assert.Equal(batches.Order(), batches);
    }

    [Fact]
    public void A_model_that_does_not_fit_is_refused_with_the_arithmetic()
    {
        var error = Assert.Throws<SimulationException>(() => Of("llama-3.1-70b", "h100", 1).CapacityTokens());

        Assert.Contains("70.6 G parameters x 2 B = 141.1 GB of weights", error.Message);
        Assert.Contains("1 x 85.9 GB x 0.9", error.Message);
        Assert.Contains("--tp", error.Message);
    }

    [Fact]
    public void Heads_that_cannot_be_split_are_named() => Assert.Contains(
        "64 heads; they cannot be split over 3",
        Assert.Throws<SimulationException>(() => Of("llama-3.1-70b", "h100", 3).CapacityTokens()).Message);

    [Fact]
    public void Published_KV_sizes_come_out()
    {
        Assert.Equal(320 * 1024, ModelShape.Find("llama-3.1-70b").KvBytesPerToken);
        Assert.Equal(128 * 1024, ModelShape.Find("llama-3.1-8b").KvBytesPerToken);

        // DistServe: a 512-token request of OPT-66B has 1.13 GiB of KV.
        Assert.Equal(1.13, 512.0 * ModelShape.Find("opt-66b").KvBytesPerToken / (1L << 30), 0.01);
    }

    [Fact]
    public void A_chunk_over_a_past_costs_what_the_whole_costs_beyond_the_past()
    {
        var cost = MeasuredCost.TryCreate(Of("llama-3.1-70b", "h100", 4))!;

        var whole = cost.PrefillAttentionSeconds(8192, 0);
        var parts = cost.PrefillAttentionSeconds(4096, 0) + cost.PrefillAttentionSeconds(4096, 4096);

        Assert.Equal(1, parts / whole, 0.15);
    }

    private static Deployment Of(string model, string gpu, int tp) => new()
    {
        Model = ModelShape.Find(model),
        Gpu = GpuShape.Find(gpu),
        TensorParallel = tp,
    };

    private static double Seconds(IStepCost cost, int prompt, int batch, int context)
    {
        var load = default(StepLoad);
        if (prompt > 0) load.AddPrefill(prompt, 0, cost.PrefillAttentionSeconds(prompt, 0));
        for (var i = 0; i < batch; i++) load.AddDecode(context);
        return cost.StepSeconds(load);
    }
}
