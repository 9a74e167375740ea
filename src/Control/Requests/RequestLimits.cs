using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>How often and how long a request is tried.</summary>
/// <param name="MaxAttempts">Dispatched attempts, at least 1.</param>
/// <param name="WorkerWait">How long a request may be without any worker that takes it.</param>
/// <param name="RetryInterval">
/// Pause between two looks for a worker. Short enough to heal a change that was missed, long enough to cost nothing.
/// </param>
public sealed record RequestLimits(int MaxAttempts, TimeSpan WorkerWait, TimeSpan RetryInterval)
{
    /// <summary>A migration that takes longer is given up; the sequence goes on where it is.</summary>
    public TimeSpan MigrationLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// When a migration's source is gone: how long its target may take to say whether it has everything. Both see the
    /// same link close, so this is a message's way and not a copy's.
    /// </summary>
    public TimeSpan VerdictWait { get; init; } = TimeSpan.FromSeconds(1);

    public static RequestLimits From(ClusterOptions options) =>
        new(options.MaxAttempts, options.WorkerWaitLimit, options.HeartbeatInterval);
}
