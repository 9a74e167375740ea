namespace Krewe.Cli.Tests.Benching;

public sealed class SoakVerdictTests
{
    [Fact]
    public void A_heap_that_goes_up_and_down_is_flat() => Assert.True(Of(60, minute => 180 + (minute % 7 * 8))!.IsFlat);

    [Fact]
    public void What_fills_in_the_first_minutes_is_no_leak() =>
        Assert.True(Of(60, minute => minute < 5 ? 60 + (20 * minute) : 180)!.IsFlat);

    [Theory]
    [InlineData(0.5)]
    [InlineData(2)]
    public void A_leak_under_a_heap_that_goes_up_and_down_is_found(double mibPerMinute) =>
        Assert.False(Of(60, minute => 180 + (minute % 7 * 8) + (mibPerMinute * minute))!.IsFlat);

    [Fact]
    public void A_step_that_stays_is_found() =>
        Assert.False(Of(60, minute => minute < 25 ? 180 : 200)!.IsFlat);

    [Fact]
    public void One_wide_swing_is_found() => Assert.False(Of(60, minute => minute == 30 ? 260 : 180)!.IsFlat);

    [Fact]
    public void A_short_run_says_that_it_is_too_short() => Assert.Null(Of(10, _ => 180));

    private static SoakVerdict? Of(int minutes, Func<int, double> mib) => SoakVerdict.Of(
    [
        .. Enumerable.Range(0, minutes + 1).Select(minute =>
            new SoakSample(minute, 1000L * minute, mib(minute), 50, new Dictionary<string, long>())),
    ]);
}
