using System.Globalization;
using Krewe.Abstractions;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <inheritdoc cref="IShelfGrain"/>
internal sealed class ShelfGrain(
    [PersistentState("shelf", GrainStorageNames.Requests)] IPersistentState<ShelfState> stored,
    GrainOptions options) : Grain, IShelfGrain
{
    public Task PutFileAsync(StoredFile file)
    {
        var others = stored.State.Shelf.Files.RemoveAll(known => known.FileId == file.FileId);
        var bytes = others.Sum(known => known.Bytes) + file.Bytes;
        // What a batch has computed is kept in any case.
        var isUpload = file.Purpose == "batch";
        if (isUpload && (others.Length >= options.FilesMax || bytes > options.FileBytesMax))
        {
            throw new KreweException(
                ErrorCode.RequestTooLarge,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"You would have {others.Length + 1} files of {bytes} bytes; at most {options.FilesMax} of "
                    + $"{options.FileBytesMax} bytes are kept. Delete some with DELETE /v1/files/{{id}}."),
                "file");
        }

        return SetAsync(stored.State.Shelf with { Files = others.Add(file) });
    }

    public Task RemoveFileAsync(string fileId) => SetAsync(stored.State.Shelf with
    {
        Files = stored.State.Shelf.Files.RemoveAll(known => known.FileId == fileId),
    });

    public Task AddBatchAsync(string batchId)
    {
        var batches = stored.State.Shelf.Batches.Add(batchId);
        return SetAsync(stored.State.Shelf with
        {
            Batches = batches.Length > options.BatchesMax ? batches.RemoveAt(0) : batches,
        });
    }

    public Task<Shelf> GetAsync() => Task.FromResult(stored.State.Shelf);

    private Task SetAsync(Shelf shelf)
    {
        stored.State.Shelf = shelf;
        return stored.WriteStateAsync();
    }
}

[GenerateSerializer]
internal sealed class ShelfState
{
    [Id(0)] public Shelf Shelf { get; set; } = Shelf.Empty;
}
