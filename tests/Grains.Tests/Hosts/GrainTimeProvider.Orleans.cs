using Krewe.EmbeddedOrleans.Tests;

namespace Krewe.Grains.Tests;

/// <summary>
/// The clock and the grains' timers are the test's; the timers of Orleans itself run by the real clock, without which
/// a silo neither starts nor places a grain.
/// </summary>
internal sealed class GrainTimeProvider(ManualTimeProvider manual) : TimeProvider
{
    public override long TimestampFrequency => manual.TimestampFrequency;

    public override long GetTimestamp() => manual.GetTimestamp();

    public override DateTimeOffset GetUtcNow() => manual.GetUtcNow();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        // The callback may be a lambda of the timer's class, in a class nested in it.
        callback.Method.DeclaringType!.FullName!.Contains("GrainTimer", StringComparison.Ordinal)
            ? manual.CreateTimer(callback, state, dueTime, period)
            : System.CreateTimer(callback, state, dueTime, period);
}
