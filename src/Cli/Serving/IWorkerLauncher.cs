using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>Starts worker processes; the supervisor's only door to the operating system.</summary>
internal interface IWorkerLauncher
{
    IWorkerProcess Start(WorkerOptions options);
}

/// <summary>A worker process that was started. Disposing it kills what still runs.</summary>
internal interface IWorkerProcess : IDisposable
{
    /// <summary>Completes with the exit code once the process is gone and its last line was passed on.</summary>
    Task<int> Exited { get; }

    /// <summary>The last line that it wrote to its standard error; null when it wrote none.</summary>
    string? LastWords { get; }

    /// <summary>Asks it to finish what it has and exit.</summary>
    void RequestStop();

    void Kill();
}
