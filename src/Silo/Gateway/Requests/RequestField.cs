using System.Globalization;
using System.Text.Json;
using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>
/// One value of a request's JSON and its path. Every mistake becomes a <see cref="KreweException"/> (InvalidRequest)
/// that names the path, what is there and what must be.
/// </summary>
internal readonly record struct RequestField(JsonElement Value, string Path)
{
    private const int QuotedCharsMax = 40;

    /// <summary>The member; null when it is absent or JSON null, which mean the same in this API.</summary>
    public RequestField? Find(string name)
    {
        DemandObject();
        return Value.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null
            ? new RequestField(member, PathOf(name))
            : null;
    }

    /// <summary>The member as it is, JSON null included; null when it is absent.</summary>
    public RequestField? FindRaw(string name) =>
        Value.TryGetProperty(name, out var member) ? new RequestField(member, PathOf(name)) : null;

    public RequestField Required(string name) =>
        Find(name) ?? throw new KreweException(
            ErrorCode.InvalidRequest, $"'{PathOf(name)}' is missing; it is required.", PathOf(name));

    public RequestField DemandObject() => Value.ValueKind == JsonValueKind.Object ? this : throw Wrong("an object");

    /// <summary>The members of an object.</summary>
    public IEnumerable<(string Name, RequestField Field)> Members()
    {
        DemandObject();
        foreach (var member in Value.EnumerateObject())
            yield return (member.Name, new RequestField(member.Value, PathOf(member.Name)));
    }

    /// <summary>The items of an array.</summary>
    public RequestField[] Items(string expected)
    {
        if (Value.ValueKind != JsonValueKind.Array) throw Wrong(expected);
        var path = Path;
        return [.. Value.EnumerateArray().Select((item, i) => new RequestField(item, $"{path}[{i}]"))];
    }

    public string AsString(string expected = "a string") =>
        Value.ValueKind == JsonValueKind.String ? Value.GetString()! : throw Wrong(expected);

    public bool AsBool() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("true or false"),
    };

    /// <summary>A whole number; 16.0 is one.</summary>
    public long AsLong(long min = long.MinValue, long max = long.MaxValue)
    {
        if (Value.ValueKind == JsonValueKind.Number)
        {
            if (Value.TryGetInt64(out var whole) && whole >= min && whole <= max) return whole;
            // Beyond 2^53 a double no longer holds every whole number.
            const double ExactMax = 1L << 53;
            if (Value.TryGetDouble(out var real) && Math.Abs(real) <= ExactMax && real == Math.Floor(real)
                && real >= min && real <= max)
                return (long)real;
        }

        throw Wrong($"an integer {Range(min, max)}");
    }

    public int AsInt(int min, int max) => (int)AsLong(min, max);

    /// <summary>A finite number in [min, max].</summary>
    public float AsFloat(double min, double max)
    {
        if (Value.ValueKind == JsonValueKind.Number && Value.TryGetDouble(out var real) && real >= min && real <= max)
            return (float)real;
        throw Wrong(string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"));
    }

    /// <summary>The error of a value that is not <paramref name="expected"/>.</summary>
    public KreweException Wrong(string expected) =>
        new(ErrorCode.InvalidRequest, $"'{Path}' is {Describe()}; it must be {expected}.", Path);

    /// <summary>Short: an error must not repeat a prompt.</summary>
    private string Describe()
    {
        switch (Value.ValueKind)
        {
            case JsonValueKind.Object: return "an object";
            case JsonValueKind.Array: return $"an array of {Value.GetArrayLength()} items";
            case JsonValueKind.Null: return "null";
            case JsonValueKind.String: return "a string";
            default:
                var text = Value.GetRawText();
                return text.Length <= QuotedCharsMax ? text : $"{text[..QuotedCharsMax]}...";
        }
    }

    private string PathOf(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    private static string Range(long min, long max) => (min, max) switch
    {
        (long.MinValue, long.MaxValue) => "from -2^63 to 2^63 - 1",
        (_, long.MaxValue or int.MaxValue) => $"of at least {min}",
        _ => $"from {min} to {max}",
    };
}
