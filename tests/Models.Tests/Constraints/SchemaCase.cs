using System.Text.Json;
using Json.Schema;

namespace Krewe.Models.Tests.Constraints;

/// <summary>
/// One schema of the test set, and an independent checker (JsonSchema.Net) of what satisfies it, formats included.
/// </summary>
internal sealed class SchemaCase
{
    private readonly JsonSchema _checker;

    private SchemaCase(string name, string text) => (Name, Text, _checker) = (name, text, JsonSchema.FromText(text));

    /// <summary>The hundred schemas of Fixtures/schemas.json.</summary>
    public static IReadOnlyList<SchemaCase> All { get; } =
    [
        .. Read().EnumerateArray().Select(item => new SchemaCase(
            item.GetProperty("name").GetString()!, item.GetProperty("schema").GetRawText())),
    ];

    public string Name { get; }

    public string Text { get; }

    private static JsonElement Read()
    {
        using var document = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Fixtures", "schemas.json")));
        return document.RootElement.Clone();
    }

    /// <summary>Why the text is not valid; null when it is.</summary>
    public string? Refute(string text)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 1000 });
        }
        catch (JsonException e)
        {
            return $"{Name}: no JSON ({e.Message}): {text}";
        }

        using (document)
        {
            var result = _checker.Evaluate(
                document.RootElement, new EvaluationOptions { RequireFormatValidation = true });
            return result.IsValid ? null : $"{Name}: {Text} does not allow {text}";
        }
    }
}
