using System.Text.Json.Serialization;
using Krewe.Abstractions;
using Krewe.Control.Batches;

namespace Krewe.Silo.Batches;

/// <summary>OpenAI's file object. Times in Unix seconds.</summary>
internal sealed record FileObject(
    string Id, string Object, long Bytes, long CreatedAt, string Filename, string Purpose, string Status)
{
    public static FileObject Of(StoredFile file) => new(
        file.FileId, "file", file.Bytes, file.CreatedAt.ToUnixTimeSeconds(), file.Name, file.Purpose, "processed");
}

internal sealed record DeletedFile(string Id, string Object, bool Deleted);

/// <summary>One page of a list, newest first.</summary>
internal sealed record FileList(
    string Object, IReadOnlyList<FileObject> Data, string? FirstId, string? LastId, bool HasMore);

/// <inheritdoc cref="FileList"/>
internal sealed record BatchList(
    string Object, IReadOnlyList<BatchObject> Data, string? FirstId, string? LastId, bool HasMore);

internal sealed record BatchErrorObject(string Code, string Message, string? Param, int? Line);

internal sealed record BatchErrorList(string Object, IReadOnlyList<BatchErrorObject> Data);

internal sealed record BatchCounts(int Total, int Completed, int Failed);

/// <summary>OpenAI's batch object. Times in Unix seconds.</summary>
internal sealed record BatchObject
{
    public required string Id { get; init; }

    public string Object { get; init; } = "batch";

    public required string Endpoint { get; init; }

    public BatchErrorList? Errors { get; init; }

    public required string InputFileId { get; init; }

    public required string CompletionWindow { get; init; }

    public required string Status { get; init; }

    public string? OutputFileId { get; init; }

    public string? ErrorFileId { get; init; }

    public required long CreatedAt { get; init; }

    public long? InProgressAt { get; init; }

    public required long ExpiresAt { get; init; }

    public long? FinalizingAt { get; init; }

    public long? CompletedAt { get; init; }

    public long? FailedAt { get; init; }

    public long? ExpiredAt { get; init; }

    public long? CancellingAt { get; init; }

    public long? CancelledAt { get; init; }

    public required BatchCounts RequestCounts { get; init; }

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    public static BatchObject Of(BatchRecord record)
    {
        var isOver = BatchMachine.IsOver(record.Status);
        return new BatchObject
        {
            Id = record.BatchId,
            Endpoint = record.Endpoint,
            Errors = record.Errors.IsEmpty
                ? null
                : new BatchErrorList("list", [.. record.Errors.Select(error => new BatchErrorObject(
                    error.Code, error.Message, error.Parameter, error.Line))]),
            InputFileId = record.InputFileId,
            CompletionWindow = record.CompletionWindow,
            Status = NameOf(record.Status),
            OutputFileId = isOver && record.Completed > 0 ? record.OutputFileId : null,
            ErrorFileId = isOver && record.Failed > 0 ? record.ErrorFileId : null,
            CreatedAt = record.CreatedAt.ToUnixTimeSeconds(),
            ExpiresAt = record.ExpiresAt.ToUnixTimeSeconds(),
            InProgressAt = At(BatchStatus.InProgress),
            FinalizingAt = At(BatchStatus.Finalizing),
            CompletedAt = At(BatchStatus.Completed),
            FailedAt = At(BatchStatus.Failed),
            ExpiredAt = At(BatchStatus.Expired),
            CancellingAt = At(BatchStatus.Cancelling),
            CancelledAt = At(BatchStatus.Cancelled),
            RequestCounts = new BatchCounts(record.Total, record.Completed, record.Failed),
            Metadata = record.Metadata.IsEmpty ? null : record.Metadata,
        };

        long? At(BatchStatus status) =>
            record.Reached.TryGetValue(status, out var at) ? at.ToUnixTimeSeconds() : null;
    }

    private static string NameOf(BatchStatus status) => status switch
    {
        BatchStatus.Validating => "validating",
        BatchStatus.Failed => "failed",
        BatchStatus.InProgress => "in_progress",
        BatchStatus.Finalizing => "finalizing",
        BatchStatus.Completed => "completed",
        BatchStatus.Expired => "expired",
        BatchStatus.Cancelling => "cancelling",
        BatchStatus.Cancelled => "cancelled",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "A status without a name."),
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(FileList))]
[JsonSerializable(typeof(DeletedFile))]
[JsonSerializable(typeof(BatchList))]
internal sealed partial class BatchJson : JsonSerializerContext;
