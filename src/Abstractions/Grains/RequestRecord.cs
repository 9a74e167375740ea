using System.Collections.Immutable;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>How a request ended. Every admitted request reaches exactly one.</summary>
public enum RequestOutcome
{
    /// <summary>All tokens were delivered to the owner.</summary>
    Finished,

    /// <summary>Ended with an error; the record carries its code and step.</summary>
    Failed,

    /// <summary>The client went away or asked to stop.</summary>
    Cancelled,
}

/// <summary>One line of a request's life.</summary>
/// <param name="Step">The step of the nine (docs/ARCHITECTURE.md) that this belongs to.</param>
/// <param name="At">UTC.</param>
/// <param name="Epoch">The attempt; 0 before the first.</param>
/// <param name="WorkerId">Who; null when no worker is concerned.</param>
/// <param name="What">What happened, in words.</param>
[GenerateSerializer, Immutable]
public sealed record RequestLogEntry(
    [property: Id(0)] int Step,
    [property: Id(1)] DateTimeOffset At,
    [property: Id(2)] int Epoch,
    [property: Id(3)] string? WorkerId,
    [property: Id(4)] string What)
{
    /// <summary>What was reported, for who draws the life; null for what the owner did by itself.</summary>
    [Id(30)] public RequestReportKind? Kind { get; init; }
}

/// <summary>A request's life, for <c>GET /v1/requests/{id}</c>. Holds no prompt text and no tokens.</summary>
[GenerateSerializer, Immutable]
public sealed record RequestRecord
{
    [Id(0)] public required string RequestId { get; init; }

    [Id(1)] public required string Model { get; init; }

    /// <summary>The state machine's phase, by name.</summary>
    [Id(2)] public required string Phase { get; init; }

    [Id(3)] public required int Epoch { get; init; }

    [Id(4)] public required int PromptTokens { get; init; }

    [Id(5)] public required int OutputTokens { get; init; }

    [Id(6)] public required long Seed { get; init; }

    [Id(7)] public RoutePlan? Plan { get; init; }

    [Id(8)] public RequestOutcome? Outcome { get; init; }

    /// <summary>"stop", "length" ... when finished; null otherwise.</summary>
    [Id(9)] public string? FinishReason { get; init; }

    [Id(10)] public ErrorCode? Error { get; init; }

    [Id(11)] public string? ErrorMessage { get; init; }

    [Id(12)] public required long BlocksMoved { get; init; }

    [Id(13)] public required long BytesMoved { get; init; }

    [Id(14)] public required ImmutableArray<RequestLogEntry> Log { get; init; }

    /// <summary>How often the running sequence moved to another worker.</summary>
    [Id(40)] public int Migrations { get; init; }
}
