using Krewe.Control.Tiers;

namespace Krewe.Control.Tests.Tiers;

public sealed class TransferMeterTests
{
    private static readonly TimeSpan Start = TimeSpan.FromMilliseconds(1);

    [Fact]
    public void Before_the_first_move_the_assumption_counts()
    {
        var meter = new TransferMeter(1e9, Start);
        Assert.Equal(1 + 100, meter.Estimate(100_000_000).TotalMilliseconds, precision: 3);
    }

    [Fact]
    public void Afterwards_what_was_measured_counts_and_old_moves_fade()
    {
        var meter = new TransferMeter(1e9, Start);
        for (var i = 0; i < 10; i++) meter.Add(200_000_000, TimeSpan.FromSeconds(0.1));
        Assert.Equal(2e9, meter.BytesPerSecond, precision: 0);
        for (var i = 0; i < 100; i++) meter.Add(10_000_000, TimeSpan.FromSeconds(0.1));
        Assert.Equal(1e8, meter.BytesPerSecond, tolerance: 1e6);
    }

    [Fact]
    public void A_move_of_nothing_says_nothing()
    {
        var meter = new TransferMeter(1e9, Start);
        meter.Add(0, TimeSpan.FromSeconds(5));
        Assert.Equal(1e9, meter.BytesPerSecond);
    }
}
