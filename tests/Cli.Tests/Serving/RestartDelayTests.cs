namespace Krewe.Cli.Tests.Serving;

public sealed class RestartDelayTests
{
    [Fact]
    public void It_doubles_to_five_seconds_while_workers_die_young()
    {
        var delay = new RestartDelay();

        var waits = Enumerable.Range(0, 8).Select(_ => delay.After(TimeSpan.FromSeconds(1)).TotalSeconds).ToArray();

        Assert.Equal([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5], waits);
    }

    [Fact]
    public void It_starts_anew_after_a_settled_life()
    {
        var delay = new RestartDelay();
        for (var i = 0; i < 5; i++) delay.After(TimeSpan.Zero);

        Assert.Equal(TimeSpan.FromSeconds(0.1), delay.After(TimeSpan.FromSeconds(10)));
        Assert.Equal(TimeSpan.FromSeconds(0.2), delay.After(TimeSpan.Zero));
    }
}
