namespace Krewe.Cli.Tests.Benching;

public sealed class LayerOrderTests
{
    [Fact]
    public void A_stack_in_order_holds_from_serving_to_limit()
    {
        var chains = LayerOrder.Of(
            [Row("limit", 100, 50), Row("kernel", 90, 45), Row("engine", 80, 40), Row("serving", 70, 30)]);
        Assert.Equal(["prefill", "decode"], chains.Select(chain => chain.Phase));
        Assert.All(chains, chain => Assert.True(chain.Holds));
        Assert.Equal(["serving", "engine", "kernel", "limit"], chains[0].Layers);
        Assert.Equal([70, 80, 90, 100], chains[0].TokensPerSecond);
    }

    [Fact]
    public void A_layer_above_the_one_below_it_is_told()
    {
        var chains = LayerOrder.Of([Row("limit", 100, 50), Row("kernel", 90, 60)]);
        Assert.True(chains.Single(chain => chain.Phase == "prefill").Holds);
        Assert.False(chains.Single(chain => chain.Phase == "decode").Holds);
    }

    [Fact]
    public void A_machines_own_scatter_is_no_violation()
    {
        Assert.All(LayerOrder.Of([Row("limit", 100, 50), Row("kernel", 104, 52)]), chain => Assert.True(chain.Holds));
        Assert.All(LayerOrder.Of([Row("limit", 100, 50), Row("kernel", 106, 53)]), chain => Assert.False(chain.Holds));
    }

    [Fact]
    public void Numbers_of_sequences_are_chains_of_their_own() => Assert.Equal(
        [1, 1, 8, 8],
        LayerOrder.Of([Row("limit", 1, 1), Row("limit", 2, 2, concurrency: 8)]).Select(chain => chain.Concurrency));

    private static LayerFigures Row(string layer, double prefill, double decode, int concurrency = 1) => new()
    {
        Layer = layer,
        Concurrency = concurrency,
        PrefillTokensPerSecond = prefill,
        DecodeTokensPerSecond = decode,
        StepP50Ms = 1,
        Gflops = 1,
        GigabytesPerSecond = 1,
        AllocatedBytesPerStep = 0,
    };
}
