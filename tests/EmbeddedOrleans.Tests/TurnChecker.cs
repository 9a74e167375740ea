namespace Krewe.EmbeddedOrleans.Tests;

/// <summary>Notices two turns at once.</summary>
public sealed class TurnChecker
{
    private int _inside;
    private int _violations;

    public int Violations => _violations;

    /// <summary>A piece of a turn: no await inside, long enough to be met by another one.</summary>
    public void Step()
    {
        if (Interlocked.Increment(ref _inside) != 1)
            Interlocked.Increment(ref _violations);
        Thread.SpinWait(50);
        Interlocked.Decrement(ref _inside);
    }
}
