namespace Krewe.Cli;

/// <summary>
/// How long to wait before a worker that exited is started again: 0.1 s, doubling to 5 s, so that a worker that cannot
/// live does not eat the machine; from the start again once it has lived for 10 s.
/// </summary>
internal sealed class RestartDelay
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.1);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(10);

    private TimeSpan _next = First;

    /// <summary>The wait after a life of <paramref name="lived"/>.</summary>
    public TimeSpan After(TimeSpan lived)
    {
        if (lived >= Settled) _next = First;
        var wait = _next;
        _next = _next * 2 < Longest ? _next * 2 : Longest;
        return wait;
    }
}
