using System.Text.Json;

namespace Krewe.Models;

/// <summary>
/// JSON Schema as a grammar: OpenAI's strict subset and the common keywords beside it. Every text of the grammar is
/// valid against the schema; not every valid text is in the grammar (properties come in the schema's order, none that
/// is not named unless the schema asks for them). What cannot be kept is refused by name.
/// </summary>
internal sealed partial class SchemaCompiler(
    Grammar grammar, JsonElement document, ConstraintBudget budget, string label = "schema")
{
    /// <summary>Schemas that are looked at, the same one in another combination counted again.</summary>
    private const int VisitsMax = 20_000;

    private const int ReferenceDepthMax = 64;

    private static readonly HashSet<string> Understood = new(StringComparer.Ordinal)
    {
        "type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems",
        "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "anyOf", "oneOf", "allOf", "minProperties", "maxProperties", "$ref",
    };

    /// <summary>What says nothing of which values are valid.</summary>
    private static readonly HashSet<string> Annotations = new(StringComparer.Ordinal)
    {
        "title", "description", "default", "example", "examples", "$schema", "$id", "id", "$comment", "$anchor",
        "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "discriminator", "externalDocs", "xml",
        "contentMediaType", "contentEncoding", "nullable",
    };

    // Rules that are called and not defined yet: a chain of references must not become a chain of calls here.
    private readonly Queue<(int Rule, List<SchemaPart> Schemas)> _open = [];
    private int _visits;

    /// <summary>The whole document.</summary>
    public Expr Compile() => CompileAll([new SchemaPart(document, "")]);

    /// <summary>The values of the document that are objects: a function's arguments.</summary>
    public Expr CompileObject()
    {
        using var type = JsonDocument.Parse("""{"type": "object"}""");
        return CompileAll(
            [new SchemaPart(type.RootElement.Clone(), "(a call's arguments)"), new SchemaPart(document, "")]);
    }

    private Expr CompileAll(List<SchemaPart> all)
    {
        var whole = Compile(all);
        while (_open.TryDequeue(out var next)) grammar.Define(next.Rule, CompileFlat(Flatten(next.Schemas, 0)));
        return whole;
    }

    /// <summary>Values that satisfy all of these schemas.</summary>
    private Expr Compile(List<SchemaPart> all)
    {
        if (all.Count == 1)
        {
            return IsPlainReference(all[0])
                ? AsRule([Resolve(all[0])])
                : CompileFlat(Flatten(all, 0));
        }

        return AsRule(all);
    }

    /// <summary>A rule by the schemas' places, so that what refers to itself comes to an end.</summary>
    private Expr.Call AsRule(List<SchemaPart> all)
    {
        var key = $"{label} {string.Join(" and ", all.Select(part => part.Key))}";
        if (grammar.TryDeclareShared(key, out var rule)) _open.Enqueue((rule, all));
        return new Expr.Call(rule);
    }

    /// <summary>The same without references and allOf.</summary>
    private List<SchemaPart> Flatten(IEnumerable<SchemaPart> all, int depth)
    {
        List<SchemaPart> flat = [];
        foreach (var part in all)
        {
            if (++_visits > VisitsMax)
                throw new ConstraintException($"it has more than {VisitsMax} schemas in all combinations", part.Path);
            if (part.IsFlat)
            {
                flat.Add(part);
                continue;
            }

            DemandUnderstood(part);
            if (depth > ReferenceDepthMax)
            {
                throw new ConstraintException(
                    "it refers to itself without a property or an item in between", part.Path);
            }

            if (part.Find("$ref") is not null) flat.AddRange(Flatten([Resolve(part)], depth + 1));
            if (part.Find("allOf") is not null) flat.AddRange(Flatten(part.Items("allOf"), depth + 1));
            flat.Add(part with { IsFlat = true });
        }

        return flat;
    }

    private Expr CompileFlat(List<SchemaPart> all)
    {
        if (all.Any(part => part.Value.ValueKind == JsonValueKind.False)) return Expr.Any([]);
        if (all.FirstOrDefault(part => HasOptions(part, "anyOf")) is { } any) return CompileOptions(all, any, "anyOf");
        if (all.FirstOrDefault(part => HasOptions(part, "oneOf")) is { } one)
        {
            DemandDisjoint(one);
            return CompileOptions(all, one, "oneOf");
        }

        var types = TypesOf(all);
        if (Constants(all) is { } constants) return CompileConstants(all, constants, types);
        return Expr.Any(types.Select(type => CompileType(all, type)));
    }

    private static bool HasOptions(SchemaPart part, string keyword) => part.Find(keyword) is not null;

    private Expr CompileOptions(List<SchemaPart> all, SchemaPart owner, string keyword)
    {
        List<SchemaPart> rest = [.. all.Where(part => part != owner)];
        // What stands beside the options counts for each of them.
        if (owner.Value.EnumerateObject().Any(member =>
            member.Name != keyword && member.Name != owner.Without && Understood.Contains(member.Name)))
        {
            if (owner.Without is not null)
                throw owner.Error(keyword, "cannot stand beside another anyOf or oneOf; put one of them into an allOf");
            rest.Add(owner with { Without = keyword });
        }

        return Expr.Any(owner.Items(keyword).Select(option => Compile([.. rest, option])));
    }

    private Expr CompileType(List<SchemaPart> all, string type) => type switch
    {
        "object" => CompileObject(all),
        "array" => CompileArray(all),
        "string" => CompileString(all),
        "integer" => CompileNumber(all, isInteger: true),
        "number" => CompileNumber(all, isInteger: false),
        "boolean" => JsonText.Boolean,
        _ => JsonText.Null,
    };

    /// <summary>Values that enum and const leave; null where neither is there.</summary>
    private List<JsonElement>? Constants(List<SchemaPart> all)
    {
        List<JsonElement>? left = null;
        foreach (var part in all)
        {
            if (part.Find("enum") is { } list)
            {
                if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() == 0)
                    throw part.Error("enum", "must be an array of at least one value");
                left = Common(left, [.. list.EnumerateArray()]);
            }

            if (part.Find("const") is { } single) left = Common(left, [single]);
        }

        return left;
    }

    private List<JsonElement> Common(List<JsonElement>? left, List<JsonElement> values)
    {
        if (left is null) return values;
        budget.TakeWork((long)left.Count * values.Count);
        return [.. left.Where(value => values.Exists(other => JsonElement.DeepEquals(value, other)))];
    }

    private static Expr CompileConstants(List<SchemaPart> all, List<JsonElement> values, List<string> types)
    {
        string[] others =
        [
            "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems",
            "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
            "exclusiveMaximum", "multipleOf", "minProperties", "maxProperties",
        ];
        foreach (var part in all)
        {
            if (Array.Find(others, keyword => part.Find(keyword) is not null) is { } beside)
                throw part.Error(beside, "cannot stand beside enum or const; list only the values that it leaves");
        }

        return Expr.Any(values.Where(value => types.Exists(type => IsOfType(value, type))).Select(JsonText.Constant));
    }

    private static bool IsOfType(JsonElement value, string type) => value.ValueKind switch
    {
        JsonValueKind.Object => type == "object",
        JsonValueKind.Array => type == "array",
        JsonValueKind.String => type == "string",
        JsonValueKind.True or JsonValueKind.False => type == "boolean",
        JsonValueKind.Null => type == "null",
        _ => type == "number" || (type == "integer" && value.TryGetDecimal(out var number)
            && number == decimal.Truncate(number)),
    };

    private static bool IsPlainReference(SchemaPart part) =>
        part.Find("$ref") is not null
        && part.Value.EnumerateObject().All(member => member.Name == "$ref" || Annotations.Contains(member.Name));

    /// <summary>What $ref points to: a place in this document.</summary>
    private SchemaPart Resolve(SchemaPart part)
    {
        var pointer = part.Text("$ref")!;
        if (pointer is "#") return new SchemaPart(document, "");
        if (!pointer.StartsWith("#/", StringComparison.Ordinal))
            throw part.Error("$ref", "must point into this schema, as in \"#/$defs/name\"");
        var (at, path) = (document, "");
        foreach (var step in pointer[2..].Split('/'))
        {
            var name = Uri.UnescapeDataString(step).Replace("~1", "/", StringComparison.Ordinal)
                .Replace("~0", "~", StringComparison.Ordinal);
            if (at.ValueKind == JsonValueKind.Array && int.TryParse(name, out var index) && index >= 0
                && index < at.GetArrayLength())
                (at, path) = (at[index], $"{path}[{index}]");
            else if (at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out var member))
                (at, path) = (member, $"{path}.{name}");
            else throw part.Error("$ref", $"points to nothing: \"{pointer}\"");
        }

        return new SchemaPart(at, path);
    }

    private static void DemandUnderstood(SchemaPart part)
    {
        if (part.Value.ValueKind is JsonValueKind.True or JsonValueKind.False) return;
        if (part.Value.ValueKind != JsonValueKind.Object)
            throw new ConstraintException("a schema must be an object, true or false", part.Path);
        foreach (var member in part.Value.EnumerateObject())
        {
            if (Understood.Contains(member.Name) || Annotations.Contains(member.Name)) continue;
            if (member.Name.StartsWith("x-", StringComparison.Ordinal)) continue;
            if (member is { Name: "uniqueItems", Value.ValueKind: JsonValueKind.False }) continue;
            throw part.Error(member.Name, "is not supported here; leave it out and check it yourself");
        }
    }
}
