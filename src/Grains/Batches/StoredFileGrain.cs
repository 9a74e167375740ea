using System.Globalization;
using System.Text;
using Krewe.Abstractions;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <inheritdoc cref="IStoredFileGrain"/>
internal sealed class StoredFileGrain(
    [PersistentState("file", GrainStorageNames.Requests)] IPersistentState<StoredFileState> stored)
    : Grain, IStoredFileGrain
{
    public Task CreateAsync(StoredFile file)
    {
        if (stored.RecordExists)
            throw new KreweException(ErrorCode.DuplicateRequestId, $"The file {file.FileId} is there already.");
        stored.State.File = file;
        return stored.WriteStateAsync();
    }

    public async Task<StoredFile?> AppendAsync(string lines, int parts)
    {
        var file = stored.State.File
            ?? throw new KreweException(ErrorCode.NotFound, $"There is no file '{this.GetPrimaryKeyString()}'.");
        if (file.Parts != parts) return null;
        await Part(file.Parts).WriteAsync(lines);
        // A part that no record counts is not there: the next one to append writes over it.
        stored.State.File = file with
        {
            Parts = file.Parts + 1,
            Bytes = file.Bytes + Encoding.UTF8.GetByteCount(lines),
        };
        await stored.WriteStateAsync();
        return stored.State.File;
    }

    public Task<StoredFile?> GetAsync()
    {
        if (stored.State.File is null) DeactivateOnIdle();
        return Task.FromResult(stored.State.File);
    }

    public async Task DeleteAsync()
    {
        var parts = stored.State.File?.Parts ?? 0;
        if (stored.RecordExists) await stored.ClearStateAsync();
        for (var i = 0; i < parts; i++) await Part(i).DeleteAsync();
        DeactivateOnIdle();
    }

    private IFilePartGrain Part(int number) => GrainFactory.GetGrain<IFilePartGrain>(
        string.Create(CultureInfo.InvariantCulture, $"{this.GetPrimaryKeyString()}/{number}"));
}

/// <inheritdoc cref="IFilePartGrain"/>
internal sealed class FilePartGrain(
    [PersistentState("part", GrainStorageNames.Requests)] IPersistentState<FilePartState> stored)
    : Grain, IFilePartGrain
{
    public async Task WriteAsync(string lines)
    {
        stored.State.Lines = lines;
        await stored.WriteStateAsync();
        // A file is written and read once: its content has no business in memory.
        DeactivateOnIdle();
    }

    public Task<string> ReadAsync()
    {
        DeactivateOnIdle();
        return Task.FromResult(stored.State.Lines);
    }

    public async Task DeleteAsync()
    {
        if (stored.RecordExists) await stored.ClearStateAsync();
        DeactivateOnIdle();
    }
}

/// <summary>Null = no such file.</summary>
[GenerateSerializer]
internal sealed class StoredFileState
{
    [Id(0)] public StoredFile? File { get; set; }
}

[GenerateSerializer]
internal sealed class FilePartState
{
    [Id(0)] public string Lines { get; set; } = "";
}
