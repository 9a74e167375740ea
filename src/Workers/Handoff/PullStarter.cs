namespace Krewe.Workers;

/// <summary>
/// Runs pulls as tasks beside the engine, and ends them all before the arena that they write into goes.
/// </summary>
internal sealed class PullStarter(
    IBlockTransport transport, IKvArena arena, WorkerIdentity identity, PhaseHold? hold, TimeProvider time,
    ILogger logger) : IPullStarter, IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly List<(Pull Pull, Task Task)> _active = [];

    public IActivePull Start(PullRequest request, Action<PullResult> ended)
    {
        var pull = new Pull(request, transport, arena, identity, hold, time, logger);
        lock (_lock)
        {
            _active.RemoveAll(active => active.Task.IsCompleted);
            _active.Add((pull, Task.Run(() => pull.RunAsync(ended))));
        }

        return pull;
    }

    /// <summary>To be called when the engine starts no more.</summary>
    public async ValueTask DisposeAsync()
    {
        (Pull Pull, Task Task)[] active;
        lock (_lock) active = [.. _active];
        foreach (var (pull, _) in active) pull.Cancel("The worker stops.");
        await Task.WhenAll(active.Select(pull => pull.Task));
    }
}
