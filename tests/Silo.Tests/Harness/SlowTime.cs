namespace Krewe.Silo.Tests.Harness;

/// <summary>Time at a sixtieth of its pace: a silo's limits of seconds are minutes, which only a hang reaches.
/// </summary>
internal sealed class SlowTime : TimeProvider
{
    private const int Factor = 60;

    private readonly DateTimeOffset _start = System.GetUtcNow();
    private readonly long _began = System.GetTimestamp();

    public override long TimestampFrequency => System.TimestampFrequency;

    public override long GetTimestamp() => (System.GetTimestamp() - _began) / Factor;

    public override DateTimeOffset GetUtcNow() => _start + (System.GetElapsedTime(_began) / Factor);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, Slow(dueTime), Slow(period));

    private static TimeSpan Slow(TimeSpan time) => time > TimeSpan.Zero ? Factor * time : time;
}
