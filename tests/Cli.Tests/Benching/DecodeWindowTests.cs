namespace Krewe.Cli.Tests.Benching;

public sealed class DecodeWindowTests
{
    [Fact]
    public void Steps_are_those_of_the_stream_that_began_last()
    {
        var time = new ManualTime();
        var window = new DecodeWindow(streams: 2, steps: 2, time);

        Assert.True(Arrive(window, time, stream: 0, afterMs: 5));
        Assert.True(Arrive(window, time, stream: 0, afterMs: 5));
        Assert.True(Arrive(window, time, stream: 1, afterMs: 5));
        Assert.True(Arrive(window, time, stream: 0, afterMs: 1));
        Assert.True(Arrive(window, time, stream: 1, afterMs: 2));
        Assert.False(Arrive(window, time, stream: 1, afterMs: 4));
        Assert.False(Arrive(window, time, stream: 0, afterMs: 1));

        var round = window.ToRound();
        Assert.Equal(0.015, round.PrefillSeconds, 6);
        Assert.Equal([3.0, 4.0], round.StepMs);
    }

    [Fact]
    public void Streams_that_end_too_early_are_no_measurement()
    {
        var window = new DecodeWindow(streams: 2, steps: 1, new ManualTime());
        window.Arrive(0);

        Assert.Throws<InvalidOperationException>(window.ToRound);
    }

    private static bool Arrive(DecodeWindow window, ManualTime time, int stream, int afterMs)
    {
        time.Advance(TimeSpan.FromMilliseconds(afterMs));
        return window.Arrive(stream);
    }
}
