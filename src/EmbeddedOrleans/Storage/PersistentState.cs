using System.Text.Encodings.Web;
using System.Text.Json;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>How states become JSON, the same for both stores, so that memory shows what a folder would keep.</summary>
internal static class PersistentStateJson
{
    public static readonly JsonSerializerOptions Options = new()
    {
        IncludeFields = true,
        // The default escapes the "+" of a text but not that of a DateTimeOffset: read and written again, a record
        // with a time would have another version.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}

/// <summary>The host's side of a state: read before the grain is activated.</summary>
internal interface IStoredState
{
    Task LoadAsync();
}

/// <summary>A grain's state, read from and written to a store as JSON.</summary>
internal sealed class PersistentState<TState>(IStateStore store, StateKey key) : IPersistentState<TState>, IStoredState
{
    private TState? _state;
    private bool _loaded;

    public string? Etag { get; private set; }

    public bool RecordExists => Etag is not null;

    public TState State
    {
        get => _loaded ? _state! : throw new InvalidOperationException(
            $"The {key} has not been read yet: use it from OnActivateAsync on, not in the constructor.");
        set => _state = value;
    }

    public Task LoadAsync() => ReadStateAsync();

    public async Task ReadStateAsync()
    {
        var json = await store.ReadAsync(key);
        _state = json is null
            ? Empty()
            : JsonSerializer.Deserialize<TState>(json, PersistentStateJson.Options);
        Etag = StateVersion.Of(json);
        _loaded = true;
    }

    public async Task WriteStateAsync()
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(_state, PersistentStateJson.Options);
        await store.WriteAsync(key, json, Etag);
        Etag = StateVersion.Of(json);
    }

    public async Task ClearStateAsync()
    {
        await store.ClearAsync(key, Etag);
        Etag = null;
        _state = Empty();
    }

    private TState Empty()
    {
        try
        {
            return Activator.CreateInstance<TState>();
        }
        catch (MissingMethodException error)
        {
            throw new InvalidOperationException(
                $"{typeof(TState)}, the {key}, needs a public constructor without parameters.", error);
        }
    }
}
