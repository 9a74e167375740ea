using System.Collections.Immutable;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>The prompt of a text completion: a string, or token ids that are taken as they are; each may stand in a
/// list of one.</summary>
internal static class CompletionPrompt
{
    private const string Expected = "a string or an array of token ids";

    public static ImmutableArray<int> Read(RequestField root, ServedModel model)
    {
        if (root.Find("prompt") is not { } field) throw Missing("prompt");
        var prompt = Single(field);
        if (prompt.Value.ValueKind == JsonValueKind.Array)
        {
            var ids = TokenIds.Read(prompt, model.Folder.Config.VocabularySize);
            return ids.Length > 0 ? ids : throw Missing(prompt.Path);
        }

        var text = prompt.AsString(Expected);
        if (text.Length == 0) throw Missing(prompt.Path);
        var addsSpecial = root.Find("add_special_tokens")?.AsBool() ?? true;
        return [.. model.Folder.Tokenizer.Encode(text, addsSpecial)];
    }

    /// <summary>Opens a list of one prompt. A list of numbers is itself one prompt.</summary>
    private static RequestField Single(RequestField field)
    {
        if (field.Value.ValueKind != JsonValueKind.Array) return field;
        var items = field.Items(Expected);
        if (items.Length == 0) throw Missing(field.Path);
        if (items[0].Value.ValueKind == JsonValueKind.Number) return field;
        if (items[0].Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Array))
            throw items[0].Wrong(Expected);
        return items.Length == 1
            ? items[0]
            : throw new KreweException(
                ErrorCode.UnsupportedParameter,
                $"'{field.Path}' has {items.Length} prompts; several prompts in one request are not supported yet. "
                + "Send one request for each.",
                field.Path);
    }

    private static KreweException Missing(string path) => new(
        ErrorCode.InvalidRequest, "Either prompt or prompt_embeds must be provided and non-empty.", path);
}
