namespace Krewe.Workers;

/// <summary>Starts migrations to this worker beside the engine thread.</summary>
internal interface IMigrationStarter
{
    IActivePull Start(MigrationRequest request, Action<EngineCommand> post);
}

/// <summary>Runs them as tasks, and ends them all before the arena that they write into goes.</summary>
internal sealed class MigrationStarter(
    IBlockTransport transport, IKvArena arena, WorkerIdentity identity, PhaseHold? hold, TimeProvider time,
    ILogger logger) : IMigrationStarter, IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly List<(MigrationPull Pull, Task Task)> _active = [];

    public IActivePull Start(MigrationRequest request, Action<EngineCommand> post)
    {
        var pull = new MigrationPull(request, transport, arena, identity, post, hold, time, logger);
        lock (_lock)
        {
            _active.RemoveAll(active => active.Task.IsCompleted);
            _active.Add((pull, Task.Run(pull.RunAsync)));
        }

        return pull;
    }

    /// <summary>To be called when the engine starts no more.</summary>
    public async ValueTask DisposeAsync()
    {
        (MigrationPull Pull, Task Task)[] active;
        lock (_lock) active = [.. _active];
        foreach (var (pull, _) in active) pull.Cancel("The worker stops.");
        await Task.WhenAll(active.Select(pull => pull.Task));
    }
}
