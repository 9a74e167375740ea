using System.Collections.Immutable;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>A file of the batch API, without its content.</summary>
[GenerateSerializer, Immutable]
public sealed record StoredFile
{
    [Id(0)] public required string FileId { get; init; }

    [Id(1)] public required string Tenant { get; init; }

    /// <summary>As its sender called it.</summary>
    [Id(2)] public required string Name { get; init; }

    /// <summary>"batch" or "batch_output".</summary>
    [Id(3)] public required string Purpose { get; init; }

    /// <summary>In UTF-8.</summary>
    [Id(4)] public required long Bytes { get; init; }

    /// <summary>UTC.</summary>
    [Id(5)] public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Pieces of its content, each whole lines.</summary>
    [Id(6)] public required int Parts { get; init; }
}

/// <summary>A file: what it is. Its content lies in <see cref="IFilePartGrain"/>s. Key = file id.</summary>
public interface IStoredFileGrain : IGrainWithStringKey
{
    /// <summary>Begins the file. Throws when its id is taken.</summary>
    Task CreateAsync(StoredFile file);

    /// <summary>
    /// Adds whole lines behind the parts that the writer has seen. Durable when it returns. Null, and nothing is added,
    /// when the file has other parts than <paramref name="parts"/>: somebody else writes it. Throws NotFound when it
    /// was deleted.
    /// </summary>
    Task<StoredFile?> AppendAsync(string lines, int parts);

    /// <summary>Null when there is none.</summary>
    Task<StoredFile?> GetAsync();

    /// <summary>Deletes file and content. Idempotent.</summary>
    Task DeleteAsync();
}

/// <summary>One piece of a file's content. Key = file id, a slash, the piece's number from 0.</summary>
public interface IFilePartGrain : IGrainWithStringKey
{
    Task WriteAsync(string lines);

    /// <summary>"" when there is none.</summary>
    Task<string> ReadAsync();

    Task DeleteAsync();
}

/// <summary>What a tenant has of files and batches, in the order in which they came.</summary>
[GenerateSerializer, Immutable]
public sealed record Shelf
{
    public static Shelf Empty { get; } = new();

    [Id(0)] public ImmutableArray<StoredFile> Files { get; init; } = [];

    /// <summary>Ids, oldest first.</summary>
    [Id(1)] public ImmutableArray<string> Batches { get; init; } = [];
}

/// <summary>A tenant's shelf. Key = tenant; "/" = everybody's while no API keys are configured.</summary>
public interface IShelfGrain : IGrainWithStringKey
{
    /// <summary>Adds the file, or replaces what is known of it. Throws RequestTooLarge when the shelf is full.
    /// </summary>
    Task PutFileAsync(StoredFile file);

    Task RemoveFileAsync(string fileId);

    /// <summary>Adds a batch; beyond a number of them the oldest is forgotten.</summary>
    Task AddBatchAsync(string batchId);

    Task<Shelf> GetAsync();
}
