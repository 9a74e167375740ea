using System.Text.Json;

namespace Krewe.Models;

/// <summary>Which types a schema leaves, and whether the options of oneOf exclude each other.</summary>
internal sealed partial class SchemaCompiler
{
    /// <summary>About what comparing two options costs.</summary>
    private const int ComparisonWork = 30;

    private static readonly string[] AllTypes = ["object", "array", "string", "number", "boolean", "null"];

    /// <summary>Keywords by the only type that they say something of.</summary>
    private static readonly Dictionary<string, string> TypeOfKeyword = new(StringComparer.Ordinal)
    {
        ["properties"] = "object",
        ["required"] = "object",
        ["additionalProperties"] = "object",
        ["minProperties"] = "object",
        ["maxProperties"] = "object",
        ["items"] = "array",
        ["prefixItems"] = "array",
        ["minItems"] = "array",
        ["maxItems"] = "array",
        ["minLength"] = "string",
        ["maxLength"] = "string",
        ["pattern"] = "string",
        ["format"] = "string",
        ["minimum"] = "number",
        ["maximum"] = "number",
        ["exclusiveMinimum"] = "number",
        ["exclusiveMaximum"] = "number",
        ["multipleOf"] = "number",
    };

    /// <summary>
    /// A schema without a type means values of any; what it says of one type shows which its author thought of.
    /// </summary>
    private static List<string> TypesOf(List<SchemaPart> all)
    {
        List<string>? left = null;
        foreach (var part in all)
        {
            if (part.Find("type") is not { } field) continue;
            List<string> types = field.ValueKind == JsonValueKind.Array
                ? [.. field.EnumerateArray().Select(item => ReadType(part, item)).Distinct()]
                : [ReadType(part, field)];
            left = left is null ? types : [.. left.SelectMany(mine => types, Narrower).OfType<string>().Distinct()];
        }

        if (left is not null) return left.Contains("number") ? [.. left.Where(type => type != "integer")] : left;
        var meant = all.Where(part => part.Value.ValueKind == JsonValueKind.Object)
            .SelectMany(part => part.Value.EnumerateObject().Where(member => member.Name != part.Without))
            .Select(member => TypeOfKeyword.GetValueOrDefault(member.Name)).OfType<string>().Distinct().ToList();
        return meant.Count > 0 ? meant : [.. AllTypes];
    }

    private static string? Narrower(string mine, string theirs) => (mine, theirs) switch
    {
        _ when mine == theirs => mine,
        ("number", "integer") or ("integer", "number") => "integer",
        _ => null,
    };

    private static string ReadType(SchemaPart part, JsonElement item)
    {
        var type = item.ValueKind == JsonValueKind.String ? item.GetString()! : "";
        return type == "integer" || AllTypes.Contains(type)
            ? type
            : throw part.Error("type", $"must be one of {string.Join(", ", AllTypes)} or integer, or an array of them");
    }

    /// <summary>A value must satisfy one option and no other: what satisfies one must not be able to satisfy another.
    /// </summary>
    private void DemandDisjoint(SchemaPart owner)
    {
        var options = owner.Items("oneOf").Select(option => Flatten([option], 0)).ToArray();
        for (var i = 0; i < options.Length; i++)
        {
            for (var j = 0; j < i; j++)
            {
                budget.TakeWork(ComparisonWork);
                if (AreDisjoint(options[i], options[j])) continue;
                throw owner.Error(
                    "oneOf", $"has options {j} and {i} that one value may satisfy both; use anyOf, or tell them apart "
                    + "by their type or by a required property with different constants");
            }
        }
    }

    private bool AreDisjoint(List<SchemaPart> a, List<SchemaPart> b)
    {
        var (mine, theirs) = (Constants(a), Constants(b));
        if (mine is not null && theirs is not null) return Common(mine, theirs).Count == 0;
        var (myTypes, theirTypes) = (StatedTypes(a, mine), StatedTypes(b, theirs));
        if (!myTypes.Exists(type => theirTypes.Exists(other => Narrower(type, other) is not null))) return true;
        if (myTypes.Exists(type => type != "object" && theirTypes.Exists(other => Narrower(type, other) is not null)))
            return false;
        return Required(a).Intersect(Required(b)).Any(name =>
            ConstantsOf(a, name) is { } here && ConstantsOf(b, name) is { } there && Common(here, there).Count == 0);
    }

    /// <summary>Only a type that is written down excludes others.</summary>
    private static List<string> StatedTypes(List<SchemaPart> all, List<JsonElement>? constants)
    {
        if (constants is not null)
            return [.. AllTypes.Where(type => constants.Exists(value => IsOfType(value, type)))];
        return all.Exists(part => part.Find("type") is not null) ? TypesOf(all) : [.. AllTypes];
    }

    private List<JsonElement>? ConstantsOf(List<SchemaPart> all, string property) => Constants(
        Flatten(all.Where(part => part.Find("properties") is { } map && map.TryGetProperty(property, out _))
            .Select(part => part.Below("properties").Below(property)), 0));

    private static IEnumerable<string> Required(IEnumerable<SchemaPart> all)
    {
        foreach (var part in all)
        {
            if (part.Find("required") is not { } list) continue;
            if (list.ValueKind != JsonValueKind.Array
                || list.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
                throw part.Error("required", "must be an array of names");
            foreach (var item in list.EnumerateArray()) yield return item.GetString()!;
        }
    }
}
