using System.Buffers;
using System.IO.Compression;

namespace Krewe.EmbeddedOrleans;

/// <summary>
/// Records live as long as the host. Packed: a record's JSON is mostly names, which take a third of it or less then.
/// </summary>
internal sealed class MemoryStateStore : IStateStore
{
    /// <summary>The fastest: a record is packed on its grain's turn.</summary>
    private const int Quality = 1;

    private const int WindowBits = 16;

    private readonly Lock _lock = new();
    private readonly Dictionary<StateKey, Record> _records = [];

    public Task<byte[]?> ReadAsync(StateKey key)
    {
        Record? record;
        lock (_lock)
            record = Find(key);
        return Task.FromResult(record is null ? null : Unpack(record));
    }

    public Task WriteAsync(StateKey key, byte[] json, string? etag)
    {
        var record = new Record(Pack(json), json.Length, StateVersion.Of(json)!);
        lock (_lock)
        {
            StateVersion.ThrowIfOther(key, Find(key)?.Version, etag);
            _records[key] = record;
        }

        return Task.CompletedTask;
    }

    public Task ClearAsync(StateKey key, string? etag)
    {
        lock (_lock)
        {
            StateVersion.ThrowIfOther(key, Find(key)?.Version, etag);
            _records.Remove(key);
        }

        return Task.CompletedTask;
    }

    private Record? Find(StateKey key) => _records.GetValueOrDefault(key);

    private static byte[] Pack(byte[] json)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BrotliEncoder.GetMaxCompressedLength(json.Length));
        try
        {
            if (!BrotliEncoder.TryCompress(json, buffer, out var bytes, Quality, WindowBits))
                throw new InvalidOperationException($"{json.Length} bytes do not fit the most that they can take.");
            return buffer[..bytes];
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static byte[] Unpack(Record record)
    {
        var json = new byte[record.JsonBytes];
        if (!BrotliDecoder.TryDecompress(record.Packed, json, out var bytes) || bytes != json.Length)
            throw new InvalidDataException("A record in memory does not unpack to what was packed.");
        return json;
    }

    /// <param name="Version">Of the JSON: nothing is unpacked to compare it.</param>
    private sealed record Record(byte[] Packed, int JsonBytes, string Version);
}
