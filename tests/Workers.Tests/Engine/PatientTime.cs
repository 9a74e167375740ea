namespace Krewe.Workers.Tests;

/// <summary>
/// Real time whose long waits are sixty times as long: limits of seconds, by which the product gives up a peer that
/// hangs, become minutes, so that a machine that stands still for a while is not taken for one. Short waits, as of
/// heartbeats, are as they are, and so are clocks.
/// </summary>
/// <param name="from">The shortest wait that is stretched.</param>
internal sealed class PatientTime(TimeSpan from) : TimeProvider
{
    /// <summary>Stretches what is as long as the shortest limit of the data link.</summary>
    public static PatientTime Links { get; } = new(TimeSpan.FromSeconds(2));

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new PatientTimer(this, base.CreateTimer(callback, state, Stretched(dueTime), Stretched(period)));

    private TimeSpan Stretched(TimeSpan wait) => wait < from ? wait : Shorter(60 * wait, TimeSpan.FromDays(1));

    private static TimeSpan Shorter(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private sealed class PatientTimer(PatientTime time, ITimer timer) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) =>
            timer.Change(time.Stretched(dueTime), time.Stretched(period));

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
