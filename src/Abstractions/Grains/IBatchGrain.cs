using System.Collections.Immutable;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>Where a batch is. OpenAI's names.</summary>
public enum BatchStatus
{
    /// <summary>Its input has not been read; nothing runs.</summary>
    Validating,

    /// <summary>Its input was wrong: over, and nothing ran.</summary>
    Failed,

    /// <summary>Requests run.</summary>
    InProgress,

    /// <summary>All requests have ended; the last lines are being written.</summary>
    Finalizing,

    /// <summary>Over, every request has a line.</summary>
    Completed,

    /// <summary>Over, its time was up; what was done is there.</summary>
    Expired,

    /// <summary>No new request starts.</summary>
    Cancelling,

    /// <summary>Over, cut off; what was done is there.</summary>
    Cancelled,
}

/// <summary>What is wrong with a batch's input. <paramref name="Line"/> counts from 1; null = the whole file.</summary>
[GenerateSerializer, Immutable]
public sealed record BatchError(
    [property: Id(0)] string Code,
    [property: Id(1)] string Message,
    [property: Id(2)] string? Parameter,
    [property: Id(3)] int? Line);

/// <summary>A batch: many requests in a file, done when there is room, their answers in another.</summary>
[GenerateSerializer, Immutable]
public sealed record BatchRecord
{
    [Id(0)] public required string BatchId { get; init; }

    [Id(1)] public required string Tenant { get; init; }

    /// <summary>Path of the API, like /v1/chat/completions.</summary>
    [Id(2)] public required string Endpoint { get; init; }

    [Id(3)] public required string InputFileId { get; init; }

    /// <summary>As the client wrote it, like 24h.</summary>
    [Id(4)] public required string CompletionWindow { get; init; }

    [Id(5)] public required DateTimeOffset CreatedAt { get; init; }

    [Id(6)] public required DateTimeOffset ExpiresAt { get; init; }

    [Id(7)]
    public ImmutableDictionary<string, string> Metadata { get; init; } = ImmutableDictionary<string, string>.Empty;

    [Id(8)] public BatchStatus Status { get; init; }

    /// <summary>When it came into each status, UTC.</summary>
    [Id(9)]
    public ImmutableDictionary<BatchStatus, DateTimeOffset> Reached { get; init; } =
        ImmutableDictionary<BatchStatus, DateTimeOffset>.Empty;

    [Id(10)] public ImmutableArray<BatchError> Errors { get; init; } = [];

    [Id(11)] public string? OutputFileId { get; init; }

    [Id(12)] public string? ErrorFileId { get; init; }

    [Id(13)] public int Total { get; init; }

    [Id(14)] public int Completed { get; init; }

    [Id(15)] public int Failed { get; init; }
}

/// <summary>What happened to a batch; only what is not null has changed.</summary>
[GenerateSerializer, Immutable]
public sealed record BatchChange
{
    [Id(0)] public BatchStatus? Status { get; init; }

    [Id(1)] public ImmutableArray<BatchError>? Errors { get; init; }

    [Id(2)] public string? OutputFileId { get; init; }

    [Id(3)] public string? ErrorFileId { get; init; }

    [Id(4)] public int? Total { get; init; }

    [Id(5)] public int? Completed { get; init; }

    [Id(6)] public int? Failed { get; init; }
}

/// <summary>One batch. Key = batch id. A shell round BatchMachine: a change that its status does not allow is left out.
/// </summary>
public interface IBatchGrain : IGrainWithStringKey
{
    Task CreateAsync(BatchRecord record);

    /// <summary>Null when there is none.</summary>
    Task<BatchRecord?> GetAsync();

    /// <summary>The batch after the change. Durable when it returns. Throws NotFound when there is none.</summary>
    Task<BatchRecord> ChangeAsync(BatchChange change);

    /// <summary>
    /// The silo runs the batch until <paramref name="life"/> is over unrenewed. False: it is over, or another silo
    /// does. A silo that was restarted under its name has its batches at once.
    /// </summary>
    Task<bool> ClaimAsync(string siloId, TimeSpan life);
}

/// <summary>The batches that are not over, of all tenants: what silos look for work in. One in a cluster, key
/// "open".</summary>
public interface IOpenBatchesGrain : IGrainWithStringKey
{
    Task AddAsync(string batchId);

    Task RemoveAsync(string batchId);

    /// <summary>Oldest first.</summary>
    Task<ImmutableArray<string>> GetAsync();
}
