using System.Text.Json;

namespace Krewe.Models;

/// <summary>One schema of a document, and where it stands.</summary>
/// <param name="Value">An object, true or false.</param>
/// <param name="Path">From the root, as in ".properties.name".</param>
/// <param name="Without">anyOf or oneOf, when it is left out of account; null = neither is.</param>
/// <param name="IsFlat">What $ref and allOf mean stands beside it already.</param>
internal sealed record SchemaPart(JsonElement Value, string Path, string? Without = null, bool IsFlat = false)
{
    /// <summary>Equal parts have equal keys.</summary>
    public string Key => $"{Path}{(Without is null ? "" : $"-{Without}")}{(IsFlat ? "!" : "")}";

    /// <summary>The keyword's value, null where it is absent.</summary>
    public JsonElement? Find(string keyword) =>
        Value.ValueKind == JsonValueKind.Object && keyword != Without
        && Value.TryGetProperty(keyword, out var found)
            ? found
            : null;

    public SchemaPart Below(string keyword) => new(Value.GetProperty(keyword), $"{Path}.{keyword}");

    /// <summary>The schemas of an array.</summary>
    public IEnumerable<SchemaPart> Items(string keyword)
    {
        var list = Value.GetProperty(keyword);
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() == 0)
            throw Error(keyword, "must be an array of at least one schema");
        return list.EnumerateArray().Select((item, i) => new SchemaPart(item, $"{Path}.{keyword}[{i}]"));
    }

    /// <summary>The schemas of an object by name, in its order.</summary>
    public IEnumerable<(string Name, SchemaPart Part)> Members(string keyword)
    {
        var map = Value.GetProperty(keyword);
        if (map.ValueKind != JsonValueKind.Object) throw Error(keyword, "must be an object of schemas");
        return map.EnumerateObject()
            .Select(member => (member.Name, new SchemaPart(member.Value, $"{Path}.{keyword}.{member.Name}")));
    }

    /// <summary>A length or count.</summary>
    public int? Count(string keyword)
    {
        if (Find(keyword) is not { } found) return null;
        if (found.ValueKind == JsonValueKind.Number && found.TryGetDecimal(out var number) && number >= 0
            && number == decimal.Truncate(number) && number <= int.MaxValue)
            return (int)number;
        throw Error(keyword, "must be a whole number of at least 0");
    }

    public decimal? Number(string keyword)
    {
        if (Find(keyword) is not { } found) return null;
        if (found.ValueKind == JsonValueKind.Number && found.TryGetDecimal(out var number)) return number;
        throw Error(keyword, "must be a number that is not too large");
    }

    public string? Text(string keyword)
    {
        if (Find(keyword) is not { } found) return null;
        return found.ValueKind == JsonValueKind.String ? found.GetString() : throw Error(keyword, "must be a string");
    }

    public ConstraintException Error(string keyword, string complaint) =>
        new($"'{keyword}' {complaint}", $"{Path}.{keyword}");
}
