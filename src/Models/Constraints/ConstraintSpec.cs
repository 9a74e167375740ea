using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Krewe.Models;

/// <summary>What an output must look like.</summary>
public enum ConstraintKind
{
    /// <summary>Any JSON object.</summary>
    JsonObject,

    /// <summary>JSON that is valid against a schema.</summary>
    JsonSchema,

    /// <summary>A text that a regular expression matches as a whole.</summary>
    Regex,

    /// <summary>One of several texts.</summary>
    Choice,

    /// <summary>A text of a grammar.</summary>
    Grammar,

    /// <summary>Calls of functions, or an answer where that is allowed too.</summary>
    Tools,

    /// <summary>A thought, unless there is none, and then something else.</summary>
    Thought,
}

/// <summary>
/// What an output must look like, as it travels from the gateway to the workers. Equal specifications have equal texts.
/// </summary>
public sealed record ConstraintSpec
{
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public required ConstraintKind Kind { get; init; }

    /// <summary>The schema as JSON, the regular expression, or the grammar.</summary>
    public string Text { get; init; } = "";

    /// <summary>Of <see cref="ConstraintKind.Choice"/>.</summary>
    public ImmutableArray<string> Choices { get; init; } = [];

    /// <summary>Of <see cref="ConstraintKind.Tools"/>.</summary>
    public ToolSpec? Tools { get; init; }

    /// <summary>Of <see cref="ConstraintKind.Thought"/>.</summary>
    public ThoughtSpec? Thought { get; init; }

    /// <summary>The output goes on with a text, so that a first space belongs to it.</summary>
    public bool ContinuesText { get; init; }

    public string Write()
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, Writing)) WriteTo(writer);
        return Encoding.UTF8.GetString(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">Another version wrote it.</exception>
    public static ConstraintSpec Parse(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return Read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new FormatException("It is not a constraint of this version.", e);
        }
    }

    private void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("kind", Kind.ToString());
        if (Text.Length > 0) writer.WriteString("text", Text);
        if (Choices.Length > 0)
        {
            writer.WriteStartArray("choices");
            foreach (var choice in Choices) writer.WriteStringValue(choice);
            writer.WriteEndArray();
        }

        if (Tools is { } tools)
        {
            writer.WriteStartArray("functions");
            foreach (var function in tools.Functions)
            {
                writer.WriteStartObject();
                writer.WriteString("name", function.Name);
                if (function.Schema is not null) writer.WriteString("schema", function.Schema);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteString("style", tools.Style.ToString());
            writer.WriteBoolean("answers", tools.MayAnswer);
            writer.WriteBoolean("parallel", tools.MayCallSeveral);
            if (tools.Answer is { } answer)
            {
                writer.WritePropertyName("answer");
                answer.WriteTo(writer);
            }
        }

        if (Thought is { } thought)
        {
            writer.WriteString("opening", thought.Opening);
            writer.WriteString("closing", thought.Closing);
            writer.WriteBoolean("open", thought.IsOpen);
            writer.WritePropertyName("then");
            thought.Then.WriteTo(writer);
        }

        if (ContinuesText) writer.WriteBoolean("continues", true);
        writer.WriteEndObject();
    }

    private static ConstraintSpec Read(JsonElement root) => new()
    {
        Kind = ReadEnum<ConstraintKind>(root.GetProperty("kind")),
        Text = root.TryGetProperty("text", out var text) ? text.GetString()! : "",
        Choices = root.TryGetProperty("choices", out var choices)
            ? [.. choices.EnumerateArray().Select(choice => choice.GetString()!)]
            : [],
        Tools = root.TryGetProperty("functions", out var functions) ? ReadTools(root, functions) : null,
        Thought = root.TryGetProperty("then", out var then)
            ? new ThoughtSpec(
                root.GetProperty("opening").GetString()!, root.GetProperty("closing").GetString()!,
                root.GetProperty("open").GetBoolean(), Read(then))
            : null,
        ContinuesText = root.TryGetProperty("continues", out var continues) && continues.GetBoolean(),
    };

    private static ToolSpec ReadTools(JsonElement root, JsonElement functions) => new(
        [
            .. functions.EnumerateArray().Select(function => new ToolFunction(
                function.GetProperty("name").GetString()!,
                function.TryGetProperty("schema", out var schema) ? schema.GetString() : null)),
        ],
        ReadEnum<ToolStyle>(root.GetProperty("style")),
        root.GetProperty("answers").GetBoolean(),
        root.GetProperty("parallel").GetBoolean(),
        root.TryGetProperty("answer", out var answer) ? Read(answer) : null);

    private static T ReadEnum<T>(JsonElement value)
        where T : struct, Enum => Enum.TryParse<T>(value.GetString(), out var read) && Enum.IsDefined(read)
        ? read
        : throw new FormatException($"{value.GetRawText()} is no {typeof(T).Name} of this version.");
}
