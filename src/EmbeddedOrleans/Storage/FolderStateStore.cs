using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.EmbeddedOrleans;

/// <summary>One JSON file per record: <c>root/storage/grain type/key.state.json</c>.</summary>
/// <remarks>A record is replaced by rename after its bytes reached the disk, so a reader finds the old or the new
/// one whole. What a crash leaves is a <c>.tmp</c> file, which nobody reads and the next write overwrites.</remarks>
internal sealed class FolderStateStore(string root) : IStateStore
{
    /// <summary>File systems allow names of 255 bytes; the state's name and the suffixes need room too.</summary>
    private const int KeyCharsMax = 120;

    private readonly Lock _lock = new();

    public Task<byte[]?> ReadAsync(StateKey key) => Task.Run(() =>
    {
        lock (_lock)
            return Read(key);
    });

    public Task WriteAsync(StateKey key, byte[] json, string? etag) => Task.Run(() =>
    {
        lock (_lock)
        {
            StateVersion.ThrowIfOther(key, Read(key), etag);
            Replace(PathOf(key), key, json);
        }
    });

    public Task ClearAsync(StateKey key, string? etag) => Task.Run(() =>
    {
        lock (_lock)
        {
            StateVersion.ThrowIfOther(key, Read(key), etag);
            File.Delete(PathOf(key));
        }
    });

    /// <summary>The file of a record. Two keys never share one, not even where case does not matter.</summary>
    public string PathOf(StateKey key) => Path.Combine(
        root,
        FileNameOf(key.StorageName),
        FileNameOf(key.Grain.Type.ToString()),
        $"{FileNameOf(key.Grain.Key.ToString())}.{FileNameOf(key.StateName)}.json");

    private static string FileNameOf(string text)
    {
        var escaped = Uri.EscapeDataString(text).Replace(".", "%2E", StringComparison.Ordinal);
        if (escaped.Length <= KeyCharsMax && !text.Any(char.IsUpper))
            return escaped;
        var digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
        return $"{escaped[..Math.Min(escaped.Length, KeyCharsMax)]}~{digest}";
    }

    private static void Replace(string path, StateKey key, byte[] json)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + ".tmp";
        using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write))
        {
            using (var writer = new Utf8JsonWriter(file, new JsonWriterOptions { Indented = true }))
            {
                writer.WriteStartObject();
                writer.WriteString("grain", key.Grain.ToString());
                writer.WriteString("etag", StateVersion.Of(json));
                writer.WritePropertyName("state");
                writer.WriteRawValue(json);
                writer.WriteEndObject();
            }

            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    private byte[]? Read(StateKey key)
    {
        var path = PathOf(key);
        if (!File.Exists(path))
            return null;
        try
        {
            var record = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
            // Re-written without white space: the digest is of the compact form, whatever an editor made of it.
            var json = JsonSerializer.SerializeToUtf8Bytes(record["state"], PersistentStateJson.Options);
            if ((string?)record["etag"] == StateVersion.Of(json))
                return json;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NullReferenceException)
        {
            throw Damaged(path, key, error);
        }

        throw Damaged(path, key, null);
    }

    private static InvalidDataException Damaged(string path, StateKey key, Exception? cause) => new(
        $"'{path}', the {key}, is damaged: its content does not have the version it names. Restore the file, or "
        + "delete it to start without this state.", cause);
}
