using System.Threading.Channels;
using Krewe.Abstractions;

namespace Krewe.Cli.Tests;

/// <summary>Worker processes whose ends a test decides.</summary>
internal sealed class ScriptedLauncher : IWorkerLauncher
{
    private readonly Channel<ScriptedProcess> _started = Channel.CreateUnbounded<ScriptedProcess>();

    public List<ScriptedProcess> All { get; } = [];

    public IWorkerProcess Start(WorkerOptions options)
    {
        var process = new ScriptedProcess(options.WorkerId);
        lock (All) All.Add(process);
        _started.Writer.TryWrite(process);
        return process;
    }

    public async Task<ScriptedProcess> NextAsync() =>
        await _started.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2));
}

internal sealed class ScriptedProcess(string workerId) : IWorkerProcess
{
    private readonly TaskCompletionSource<int> _exit = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string WorkerId { get; } = workerId;

    public Task<int> Exited => _exit.Task;

    public string? LastWords { get; set; }

    /// <summary>Ends with code 0 when asked to; otherwise it must be killed.</summary>
    public bool Obeys { get; set; } = true;

    public bool WasKilled { get; private set; }

    public bool WasDisposed { get; private set; }

    public void Exit(int code) => _exit.TrySetResult(code);

    public void RequestStop()
    {
        if (Obeys) Exit(0);
    }

    public void Kill() => WasKilled |= _exit.TrySetResult(137);

    public void Dispose() => WasDisposed = true;
}
