using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>A constraint, and the field that its errors are about.</summary>
internal sealed record FieldConstraint(ConstraintSpec Spec, string Path);

/// <summary>
/// The fields that say what an output must look like: OpenAI's response_format, vLLM's structured_outputs, and the
/// guided_ names that vLLM had before.
/// </summary>
internal static class ConstraintFields
{
    private const string Format = "response_format";
    private const string Structured = "structured_outputs";

    private static readonly string[] Kinds = ["json", "regex", "choice", "grammar", "json_object"];

    /// <summary>Parts of structured_outputs that are known and not done.</summary>
    private static readonly string[] Refused =
        ["structural_tag", "whitespace_pattern", "disable_any_whitespace", "disable_additional_properties"];

    /// <summary>Null when anything will do. Throws <see cref="KreweException"/> that names what is wrong.</summary>
    public static FieldConstraint? Read(RequestField root)
    {
        FieldConstraint?[] given = [ReadFormat(root), ReadStructured(root), .. ReadGuided(root)];
        FieldConstraint[] found = [.. given.OfType<FieldConstraint>()];
        return found.Length <= 1
            ? found.FirstOrDefault()
            : throw new KreweException(
                ErrorCode.InvalidRequest,
                $"'{found[0].Path}' and '{found[1].Path}' both say what the output must look like; send one of them.",
                found[1].Path);
    }

    private static FieldConstraint? ReadFormat(RequestField root)
    {
        if (root.Find(Format) is not { } format) return null;
        var type = format.DemandObject().Required("type");
        switch (type.AsString())
        {
            case "text": return null;
            case "json_object":
                return new FieldConstraint(new ConstraintSpec { Kind = ConstraintKind.JsonObject }, Format);
            case "json_schema":
                if (format.Find("json_schema") is not { } named)
                {
                    throw new KreweException(
                        ErrorCode.InvalidRequest,
                        "When 'response_format.type' is \"json_schema\", the 'json_schema' field must be provided.",
                        $"{Format}.json_schema");
                }

                // A name is for people; strict or not, the schema is kept.
                named.DemandObject().Find("name")?.AsString();
                named.Find("strict")?.AsBool();
                return named.Find("schema") is { } schema
                    ? OfSchema(schema)
                    : new FieldConstraint(
                        new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = "true" }, named.Path);
            default:
                throw new KreweException(
                    ErrorCode.UnsupportedParameter,
                    $"'{type.Path}' is \"{type.AsString()}\"; it must be text, json_object or json_schema.", type.Path);
        }
    }

    private static FieldConstraint? ReadStructured(RequestField root)
    {
        if (root.Find(Structured) is not { } field) return null;
        foreach (var name in Refused)
        {
            if (!IsGiven(field.DemandObject().Find(name))) continue;
            var refused = field.Required(name);
            throw new KreweException(
                ErrorCode.UnsupportedParameter, $"'{refused.Path}' is not supported; leave it out.", refused.Path);
        }

        field.DemandObject();
        string[] kinds = [.. Kinds.Where(kind => IsGiven(field.Find(kind)))];
        return kinds.Length == 1
            ? ReadKind(kinds[0], field.Required(kinds[0]))
            : throw field.Wrong($"an object with exactly one of {string.Join(", ", Kinds)}");
    }

    private static IEnumerable<FieldConstraint> ReadGuided(RequestField root)
    {
        foreach (var kind in Kinds)
        {
            var name = kind == "json_object" ? "guided_json_object" : $"guided_{kind}";
            if (IsGiven(root.Find(name))) yield return ReadKind(kind, root.Required(name));
        }

        if (root.Find("guided_whitespace_pattern") is { } pattern)
        {
            throw new KreweException(
                ErrorCode.UnsupportedParameter, $"'{pattern.Path}' is not supported; leave it out.", pattern.Path);
        }
    }

    private static bool IsGiven(RequestField? field) => field is { Value.ValueKind: not JsonValueKind.False };

    private static FieldConstraint ReadKind(string kind, RequestField field) => kind switch
    {
        "json" => OfSchema(field),
        "regex" => new(new ConstraintSpec { Kind = ConstraintKind.Regex, Text = field.AsString() }, field.Path),
        "grammar" => new(new ConstraintSpec { Kind = ConstraintKind.Grammar, Text = field.AsString() }, field.Path),
        "choice" => new(
            new ConstraintSpec
            {
                Kind = ConstraintKind.Choice,
                Choices = [.. field.Items("an array of strings").Select(item => item.AsString())],
            },
            field.Path),
        _ => new FieldConstraint(
            field.AsBool() ? new ConstraintSpec { Kind = ConstraintKind.JsonObject } : throw field.Wrong("true"),
            field.Path),
    };

    /// <summary>A schema as an object, or, as vLLM takes it too, as a string of JSON.</summary>
    private static FieldConstraint OfSchema(RequestField field)
    {
        var text = field.Value.GetRawText();
        if (field.Value.ValueKind == JsonValueKind.String)
        {
            text = field.AsString();
            DemandJson(field, text);
        }
        else if (field.Value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            field.DemandObject();
        }

        return new FieldConstraint(new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = text }, field.Path);
    }

    private static void DemandJson(RequestField field, string text)
    {
        try
        {
            using var parsed = JsonDocument.Parse(text);
        }
        catch (JsonException)
        {
            throw field.Wrong("a schema as an object, or as a string of JSON");
        }
    }
}
