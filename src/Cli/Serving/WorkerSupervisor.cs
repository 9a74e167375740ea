using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>Why the workers cannot be kept running: a restart would fail in the same way.</summary>
internal sealed record PermanentFailure(string WorkerId, int ExitCode, string Message);

/// <summary>
/// Keeps a set of worker processes running: one that exits is started again after a <see cref="RestartDelay"/>. When
/// <see cref="RunAsync"/> has returned, no process that it started is alive.
/// </summary>
internal sealed class WorkerSupervisor(IWorkerLauncher launcher, Terminal terminal, TimeProvider time, TimeSpan grace)
{
    /// <summary>
    /// Runs until cancelled (returns null) or until a worker ends for good. Then the others are asked to stop, and
    /// those that are still there after the grace are killed.
    /// </summary>
    public async Task<PermanentFailure?> RunAsync(
        IReadOnlyList<WorkerOptions> workers, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var keepers = workers.Select(worker => KeepAsync(worker, stop.Token)).ToArray();
        // A keeper ends early only with a permanent failure.
        var first = await Task.WhenAny(keepers);
        await stop.CancelAsync();
        var failures = await Task.WhenAll(keepers);
        return await first ?? failures.FirstOrDefault(failure => failure is not null);
    }

    private async Task<PermanentFailure?> KeepAsync(WorkerOptions worker, CancellationToken stop)
    {
        // Leaves the caller's turn: one that starts ten workers starts them side by side.
        await Task.Yield();
        var delay = new RestartDelay();
        var isFirst = true;
        while (!stop.IsCancellationRequested)
        {
            var startedAt = time.GetTimestamp();
            using var process = launcher.Start(worker);
            var code = await LiveAsync(process, stop);
            if (stop.IsCancellationRequested) return null;
            var lived = time.GetElapsedTime(startedAt);
            // A GPU that was never there does not come; one that fell off may be back.
            if (code is ExitCode.Refused or ExitCode.Usage || (code == ExitCode.NoDevice && isFirst))
                return new PermanentFailure(worker.WorkerId, code, process.LastWords ?? "it gave no reason");
            isFirst = false;
            // Loading a large model may take minutes before its GPU turns out to be full: that was no settled life.
            var isBusy = code == ExitCode.DeviceBusy;
            var wait = delay.After(isBusy ? TimeSpan.Zero : lived);
            terminal.Say(isBusy
                ? $"worker {worker.WorkerId} waits for its GPU, which others use, perhaps workers beside it "
                    + $"({process.LastWords}); trying again in {wait.TotalSeconds:0.0} s."
                : $"worker {worker.WorkerId} exited with code {code} after {lived.TotalSeconds:0.0} s; "
                    + $"starting it again in {wait.TotalSeconds:0.0} s.");
            await Task.Delay(wait, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return null;
    }

    private async Task<int> LiveAsync(IWorkerProcess process, CancellationToken stop)
    {
        await ((Task)process.Exited).WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (process.Exited.IsCompleted) return await process.Exited;
        process.RequestStop();
        await ((Task)process.Exited).WaitAsync(grace, time, CancellationToken.None)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        process.Kill();
        return await process.Exited;
    }
}
