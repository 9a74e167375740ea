using Krewe.Silo.Links;

namespace Krewe.Silo.Tests.Harness;

/// <summary>The system's time, but for the beats by which a silo counts its links' silence: a test gives those.
/// </summary>
internal sealed class HeldBeats : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<Action> _links = [];

    /// <summary>One beat of each link.</summary>
    public void Beat()
    {
        Action[] links;
        lock (_gate) links = [.. _links];
        foreach (var beat in links) beat();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (state is not LinkConnection) return base.CreateTimer(callback, state, dueTime, period);
        Action beat = () => callback(state);
        lock (_gate) _links.Add(beat);
        return new Beats(() =>
        {
            lock (_gate) _links.Remove(beat);
        });
    }

    private sealed class Beats(Action end) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose() => end();

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
