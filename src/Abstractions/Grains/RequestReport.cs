using Orleans;

namespace Krewe.Abstractions;

/// <summary>What the owning silo tells a request's grain: one state change, never a token.</summary>
public enum RequestReportKind
{
    /// <summary>A worker queued the sequence.</summary>
    Accepted,
    PrefillStarted,
    PrefillFinished,
    HandoffStarted,
    HandoffCommitted,
    DecodeStarted,

    /// <summary>The first output token was taken by the owner (any epoch; told once).</summary>
    FirstToken,

    /// <summary>The owner has the last token: FinishReason is set.</summary>
    Finished,

    /// <summary>A worker gave the attempt up: Error and Message are set.</summary>
    AttemptFailed,

    /// <summary>The link to a worker of the plan is gone: Error says lost or stalled.</summary>
    WorkerLost,

    /// <summary>A worker holds nothing of this epoch any more.</summary>
    Released,

    /// <summary>A worker reserved blocks for a successor of the current epoch.</summary>
    MigrationStarted,

    /// <summary>The successor's worker owns the sequence, and the stream has adopted its epoch.</summary>
    MigrationCommitted,

    /// <summary>The successor came to nothing: the sequence stays where it is.</summary>
    MigrationAborted,
}

/// <summary>One state change of one attempt, from the silo's links to the request's grain.</summary>
[GenerateSerializer, Immutable]
public sealed record RequestReport
{
    [Id(0)] public required RequestReportKind Kind { get; init; }

    [Id(1)] public required int Epoch { get; init; }

    [Id(2)] public WorkerIncarnation? Worker { get; init; }

    [Id(3)] public ErrorCode? Error { get; init; }

    [Id(4)] public string? Message { get; init; }

    [Id(5)] public string? FinishReason { get; init; }

    [Id(6)] public int OutputTokens { get; init; }

    [Id(7)] public int PrefixHitTokens { get; init; }

    [Id(8)] public int BlocksMoved { get; init; }

    [Id(9)] public long BytesMoved { get; init; }

    /// <summary>Of the prefix hit, blocks that tiers below the pool had.</summary>
    [Id(30)] public int RestoredBlocks { get; init; }
}
