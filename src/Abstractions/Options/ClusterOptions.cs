namespace Krewe.Abstractions;

/// <summary>
/// Settings that must be equal on every silo and worker of a cluster; silos send what workers need of them in the hello
/// reply. Times are wall-clock limits, not targets.
/// </summary>
public sealed record ClusterOptions
{
    /// <summary>Both ends of a control link send at least this often.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// A link without a byte for this long is given up: its peer is lost (dead) or stalled (SIGSTOP).
    /// </summary>
    public TimeSpan LinkSilenceLimit { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Life of a KV hold without a sign from its other end; must exceed <see cref="LinkSilenceLimit"/>.
    /// </summary>
    public TimeSpan HandoffLease { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a request whose worker was lost may wait for another one to appear.</summary>
    public TimeSpan WorkerWaitLimit { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Attempts (epochs) of one request before it ends in <see cref="ErrorCode.AttemptsExhausted"/>.</summary>
    public int MaxAttempts { get; init; } = 4;

    /// <summary>
    /// A request that is not finished by then is ended with <see cref="ErrorCode.DeadlineExceeded"/>.
    /// </summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Requests that one silo holds at once; beyond it a new one is refused with 429.</summary>
    public int MaxRequestsPerSilo { get; init; } = 4096;

    /// <summary>Tokens a KV block holds; a multiple of 16 (the lanes of one score vector).</summary>
    public int BlockTokens { get; init; } = 16;

    /// <summary>Every error of these settings, each naming the setting and its legal range.</summary>
    public IEnumerable<string> Validate()
    {
        if (HeartbeatInterval < TimeSpan.FromMilliseconds(10))
            yield return $"HeartbeatInterval is {HeartbeatInterval.TotalMilliseconds} ms; it must be at least 10 ms.";
        if (LinkSilenceLimit < 3 * HeartbeatInterval)
        {
            yield return $"LinkSilenceLimit is {LinkSilenceLimit.TotalMilliseconds} ms; it must be at least three "
                + $"heartbeats ({3 * HeartbeatInterval.TotalMilliseconds} ms), or one late packet kills a worker.";
        }

        if (HandoffLease <= LinkSilenceLimit)
        {
            yield return $"HandoffLease is {HandoffLease.TotalMilliseconds} ms; it must exceed LinkSilenceLimit "
                + $"({LinkSilenceLimit.TotalMilliseconds} ms), or a slow peer loses blocks it still may pull.";
        }

        if (WorkerWaitLimit <= TimeSpan.Zero) yield return "WorkerWaitLimit must be positive.";
        if (MaxAttempts is < 1 or > 100) yield return $"MaxAttempts is {MaxAttempts}; it must be 1 to 100.";
        if (RequestTimeout <= TimeSpan.Zero) yield return "RequestTimeout must be positive.";
        if (MaxRequestsPerSilo < 1) yield return $"MaxRequestsPerSilo is {MaxRequestsPerSilo}; it must be at least 1.";
        if (BlockTokens is < 16 or > 256 || BlockTokens % 16 != 0)
            yield return $"BlockTokens is {BlockTokens}; it must be a multiple of 16 from 16 to 256.";
    }
}
