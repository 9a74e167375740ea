namespace Krewe.EmbeddedOrleans;

/// <summary>Records live as long as the host.</summary>
internal sealed class MemoryStateStore : IStateStore
{
    private readonly Lock _lock = new();
    private readonly Dictionary<StateKey, byte[]> _records = [];

    public Task<byte[]?> ReadAsync(StateKey key)
    {
        lock (_lock)
            return Task.FromResult(_records.GetValueOrDefault(key));
    }

    public Task WriteAsync(StateKey key, byte[] json, string? etag)
    {
        lock (_lock)
        {
            StateVersion.ThrowIfOther(key, _records.GetValueOrDefault(key), etag);
            _records[key] = json;
        }

        return Task.CompletedTask;
    }

    public Task ClearAsync(StateKey key, string? etag)
    {
        lock (_lock)
        {
            StateVersion.ThrowIfOther(key, _records.GetValueOrDefault(key), etag);
            _records.Remove(key);
        }

        return Task.CompletedTask;
    }
}
