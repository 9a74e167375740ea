using System.Collections.Concurrent;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;

namespace Krewe.Grains.Tests;

/// <summary>
/// Grain storage that outlives its silo under a name: what a folder is to the embedded host, without the files. A null
/// name is storage of one silo alone.
/// </summary>
internal sealed class FolderOrMemoryStorage(string? name) : IGrainStorage
{
    private static readonly ConcurrentDictionary<string, ConcurrentDictionary<string, Entry>> Shared = new();

    private readonly ConcurrentDictionary<string, Entry> _entries =
        name is null ? new() : Shared.GetOrAdd(name, _ => new());

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (_entries.TryGetValue(KeyOf(stateName, grainId), out var entry))
            (grainState.State, grainState.ETag, grainState.RecordExists) = ((T)entry.State!, entry.Tag, true);
        else
            (grainState.State, grainState.ETag, grainState.RecordExists) = (Activator.CreateInstance<T>(), null, false);
        return Task.CompletedTask;
    }

    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var key = KeyOf(stateName, grainId);
        var next = new Entry(grainState.State, Guid.NewGuid().ToString("N"));
        var written = grainState.ETag is null
            ? _entries.TryAdd(key, next)
            : _entries.TryGetValue(key, out var old) && old.Tag == grainState.ETag
                && _entries.TryUpdate(key, next, old);
        if (!written) throw new InconsistentStateException($"{key} has another tag than {grainState.ETag}.");
        (grainState.ETag, grainState.RecordExists) = (next.Tag, true);
        return Task.CompletedTask;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        _entries.TryRemove(KeyOf(stateName, grainId), out _);
        (grainState.State, grainState.ETag, grainState.RecordExists) = (Activator.CreateInstance<T>(), null, false);
        return Task.CompletedTask;
    }

    private static string KeyOf(string stateName, GrainId grainId) => $"{stateName}/{grainId}";

    private sealed record Entry(object? State, string Tag);
}
