namespace Krewe.Silo.Tests.Harness;

/// <summary>
/// A clock that moves when a test says so, for what a silo reads off it: allowances that grow back, deadlines. Timers
/// run by the real one, so that the silo does not stand still.
/// </summary>
internal sealed class HandClock : TimeProvider
{
    private readonly DateTimeOffset _start = System.GetUtcNow();
    private long _ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Volatile.Read(ref _ticks);

    public override DateTimeOffset GetUtcNow() => _start + TimeSpan.FromTicks(GetTimestamp());

    public void Advance(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);
}
