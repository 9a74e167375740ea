using System.Text.Json;

namespace Krewe.Models;

/// <summary>
/// The chat side of a model folder: the template (a file <c>chat_template.jinja</c> wins over
/// <c>tokenizer_config.json</c>, as in the reference library) and the texts of the begin and end tokens that templates
/// print.
/// </summary>
internal sealed record ChatSettings(ChatTemplate? Template, string? BosToken, string? EosToken)
{
    public static ChatSettings Load(string directory, Tokenizer tokenizer, ModelConfig config)
    {
        var file = Path.Combine(directory, "tokenizer_config.json");
        JsonField? root = File.Exists(file) ? JsonField.Load(file) : null;
        var eosTokenId = config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : (int?)null;
        return new ChatSettings(
            ReadTemplate(directory, root),
            ReadToken(root, "bos_token", tokenizer) ?? TextOf(tokenizer, root is null ? config.BosTokenId : null),
            ReadToken(root, "eos_token", tokenizer) ?? TextOf(tokenizer, root is null ? eosTokenId : null));
    }

    private static ChatTemplate? ReadTemplate(string directory, JsonField? root)
    {
        var file = Path.Combine(directory, "chat_template.jinja");
        if (File.Exists(file))
            return Parse(file, File.ReadAllText(file));
        if (root?.Optional("chat_template") is not { } field)
            return null;
        if (field.Value.ValueKind == JsonValueKind.Array)
        {
            foreach (var choice in field.Items())
            {
                if (choice.Required("name").AsString() == "default")
                    return Parse($"{directory} (chat_template default)", choice.Required("template").AsString());
            }

            throw field.Error("\"chat_template\" is a list without an entry named default");
        }

        return Parse($"{directory} (tokenizer_config.json chat_template)", field.AsString());
    }

    private static ChatTemplate Parse(string where, string source)
    {
        try
        {
            return ChatTemplate.Parse(source);
        }
        catch (ModelException e)
        {
            throw new ModelException($"{where}: {e.Message}", e);
        }
    }

    /// <summary>A token is written as its text, or as an object with <c>content</c>.</summary>
    private static string? ReadToken(JsonField? root, string name, Tokenizer tokenizer)
    {
        if (root?.Optional(name) is not { } field)
            return null;
        var text = (field.Value.ValueKind == JsonValueKind.Object ? field.Required("content") : field).AsString();
        return tokenizer.TokenId(text) is not null
            ? text
            : throw field.Error($"\"{name}\" is \"{text}\", which is not a token of tokenizer.json");
    }

    private static string? TextOf(Tokenizer tokenizer, int? id) => id is { } known ? tokenizer.TokenText(known) : null;
}
