namespace Krewe.Silo.Tests.Harness;

/// <summary>
/// A clock that moves when a test says so, for what a silo reads off it: allowances that grow back, results that grow
/// old, deadlines. Timers run by the real one, so that the silo does not stand still; those that bound a wait run at a
/// sixtieth of its pace: seconds are minutes, which only a hang reaches.
/// </summary>
internal sealed class HandClock : TimeProvider
{
    private const int Patience = 60;

    private readonly DateTimeOffset _start = System.GetUtcNow();
    private long _ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Volatile.Read(ref _ticks);

    public override DateTimeOffset GetUtcNow() => _start + TimeSpan.FromTicks(GetTimestamp());

    public void Advance(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(
            callback, state, state is CancellationTokenSource && dueTime > TimeSpan.Zero ? Patience * dueTime : dueTime,
            period);
}
