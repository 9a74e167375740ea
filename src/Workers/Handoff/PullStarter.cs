namespace Krewe.Workers;

/// <summary>
/// Runs pulls as tasks beside the engine, and ends them all before the arena that they write into goes.
/// </summary>
internal sealed class PullStarter(
    IBlockTransport transport, IKvArena arena, WorkerIdentity identity, PhaseHold? hold, TimeProvider time,
    ILogger logger) : IPullStarter, IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly List<(IActivePull Pull, Task Task)> _active = [];

    public IActivePull Start(PullRequest request, Action<PullResult> ended)
    {
        var pull = new Pull(request, transport, arena, identity, hold, time, logger);
        Track(pull, () => pull.RunAsync(ended));
        return pull;
    }

    public IActivePull Fetch(PrefixRequest request, Action<PrefixResult> ended)
    {
        var fetch = new PrefixFetch(request, transport, arena, identity, time, logger);
        Track(fetch, () => fetch.RunAsync(ended));
        return fetch;
    }

    /// <summary>To be called when the engine starts no more.</summary>
    public async ValueTask DisposeAsync()
    {
        (IActivePull Pull, Task Task)[] active;
        lock (_lock) active = [.. _active];
        foreach (var (pull, _) in active) pull.Cancel("The worker stops.");
        await Task.WhenAll(active.Select(pull => pull.Task));
    }

    private void Track(IActivePull pull, Func<Task> run)
    {
        lock (_lock)
        {
            _active.RemoveAll(active => active.Task.IsCompleted);
            _active.Add((pull, Task.Run(run)));
        }
    }
}
