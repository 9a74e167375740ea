using Krewe.Control.Tiers;

namespace Krewe.Control.Tests.Tiers;

public class PrefillMeterTests
{
    [Fact]
    public void Assumes_a_fast_worker_until_it_has_seen_enough()
    {
        var meter = new PrefillMeter();
        meter.Add(10, 50, 1);

        Assert.Equal(new PrefillCost(PrefillMeter.AssumedSecondsPerToken), meter.Cost);
    }

    [Fact]
    public void Learns_the_cost_of_a_token_and_of_a_pair()
    {
        var meter = new PrefillMeter();
        for (var from = 0; from < 4000; from += 256) meter.Add(256, Pairs(from, 256), Truth(from, 256));

        Assert.Equal(3e-4, meter.Cost.SecondsPerToken, 1e-6);
        Assert.Equal(2e-8, meter.Cost.SecondsPerTokenAndPosition, 1e-10);
        Assert.Equal(Truth(1000, 500), meter.Cost.Of(1000, 1500).TotalSeconds, 1e-3);
    }

    [Fact]
    public void Steps_that_are_all_alike_give_their_mean()
    {
        var meter = new PrefillMeter();
        for (var i = 0; i < 10; i++) meter.Add(100, 5000, 0.2);

        Assert.Equal(2e-3, meter.Cost.SecondsPerToken, 1e-9);
    }

    [Fact]
    public void Follows_a_change_of_load()
    {
        var meter = new PrefillMeter();
        for (var i = 0; i < 100; i++) meter.Add(256, 256 * 128, 0.1);
        for (var i = 0; i < 200; i++) meter.Add(256, 256 * 128, 0.4);

        Assert.InRange(meter.Cost.Of(0, 256).TotalSeconds, 0.38, 0.4);
    }

    private static double Pairs(int from, int tokens) => (tokens * (double)from) + (tokens * (double)tokens / 2);

    private static double Truth(int from, int tokens) => (3e-4 * tokens) + (2e-8 * Pairs(from, tokens));
}
