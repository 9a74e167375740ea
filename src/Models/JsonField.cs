using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace Krewe.Models;

/// <summary>A JSON value that knows its file and path, so that every complaint about it can name both.</summary>
internal readonly struct JsonField
{
    private readonly string _file;
    private readonly string _path;

    private JsonField(string file, string path, JsonElement value) => (_file, _path, Value) = (file, path, value);

    public JsonElement Value { get; }

    public string Path => _path;

    /// <summary>Reads one JSON file whose root is an object.</summary>
    public static JsonField Load(string file)
    {
        if (!File.Exists(file))
            throw new ModelException($"{file}: the file is missing. Every model folder needs it.");
        try
        {
            return Parse(file, File.ReadAllBytes(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelException($"{file}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Parses UTF-8 bytes whose root is an object; <paramref name="file"/> only names them in
    /// messages.</summary>
    public static JsonField Parse(string file, ReadOnlyMemory<byte> utf8)
    {
        if (utf8.Span.StartsWith("\uFEFF"u8))
            utf8 = utf8[3..];
        // The parser leaves bytes inside strings alone and fails on them only when a string is read.
        if (!Utf8.IsValid(utf8.Span))
            throw new ModelException($"{file}: not valid JSON: the file is not UTF-8.");
        try
        {
            using var document = JsonDocument.Parse(utf8);
            var root = new JsonField(file, "", document.RootElement.Clone());
            root.Demand(JsonValueKind.Object, "an object");
            return root;
        }
        catch (JsonException e)
        {
            throw new ModelException($"{file}: not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>The member, or null where it is absent or JSON null.</summary>
    public JsonField? Optional(string name)
    {
        Demand(JsonValueKind.Object, "an object");
        var value = Unescape(
            (Value, name), static pair => pair.Value.TryGetProperty(pair.name, out var found) ? found : default);
        return value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null
            ? null
            : new JsonField(_file, Join(name), value);
    }

    public JsonField Required(string name) =>
        Optional(name) ?? throw Error($"the field \"{Join(name)}\" is missing");

    public string AsString()
    {
        Demand(JsonValueKind.String, "a string");
        return Unescape(Value, static value => value.GetString()!);
    }

    public bool AsBool() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("true or false"),
    };

    public int AsInt(int min = int.MinValue, int max = int.MaxValue)
    {
        if (Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var number)
            && number >= min && number <= max)
            return number;
        throw Wrong(max == int.MaxValue ? $"an integer of at least {min}" : $"an integer in {min}..{max}");
    }

    public double AsDouble() =>
        Value.ValueKind == JsonValueKind.Number && Value.TryGetDouble(out var number) && double.IsFinite(number)
            ? number
            : throw Wrong("a finite number");

    public IEnumerable<JsonField> Items()
    {
        Demand(JsonValueKind.Array, "an array");
        var index = 0;
        foreach (var item in Value.EnumerateArray())
            yield return new JsonField(_file, $"{_path}[{index++}]", item);
    }

    public IEnumerable<(string Name, JsonField Field)> Members()
    {
        Demand(JsonValueKind.Object, "an object");
        foreach (var member in Value.EnumerateObject())
        {
            var name = Unescape(member, static named => named.Name);
            yield return (name, new JsonField(_file, Join(name), member.Value));
        }
    }

    /// <summary>A complaint about this value's file.</summary>
    public ModelException Error(string complaint) => new($"{_file}: {complaint}.");

    public ModelException Wrong(string expected) =>
        Error($"\"{(_path.Length == 0 ? "the root" : _path)}\" must be {expected}, found {Shorten(Value)}");

    private void Demand(JsonValueKind kind, string expected)
    {
        if (Value.ValueKind != kind)
            throw Wrong(expected);
    }

    /// <summary>Half a surrogate pair may hide in an escape; the parser notices when the text is read.</summary>
    private T Unescape<TFrom, T>(TFrom from, Func<TFrom, T> read)
    {
        try
        {
            return read(from);
        }
        catch (InvalidOperationException e)
        {
            throw new ModelException($"{_file}: \"{_path}\" holds text that is not valid Unicode: {e.Message}", e);
        }
    }

    private string Join(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    private static string Shorten(JsonElement value)
    {
        var text = value.GetRawText();
        return text.Length <= 60 ? text : string.Create(CultureInfo.InvariantCulture, $"{text.AsSpan(0, 60)}...");
    }
}
