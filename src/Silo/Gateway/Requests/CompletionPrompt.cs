using System.Collections.Immutable;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>The prompts of a text completion: a string, or token ids that are taken as they are, or a list of such.
/// </summary>
internal static class CompletionPrompt
{
    private const string Expected = "a string or an array of token ids";

    public static IEnumerable<ImmutableArray<int>> Read(RequestField root, ServedModel model)
    {
        if (root.Find("prompt") is not { } field) throw Missing("prompt");
        var addsSpecial = root.Find("add_special_tokens")?.AsBool() ?? true;
        return Split(field).Select(prompt => ReadOne(prompt, addsSpecial, model));
    }

    private static ImmutableArray<int> ReadOne(RequestField prompt, bool addsSpecial, ServedModel model)
    {
        if (prompt.Value.ValueKind == JsonValueKind.Array)
        {
            var ids = TokenIds.Read(prompt, model.Folder.Config.VocabularySize);
            return ids.Length > 0 ? ids : throw Missing(prompt.Path);
        }

        var text = prompt.AsString(Expected);
        if (text.Length == 0) throw Missing(prompt.Path);
        return [.. model.Folder.Tokenizer.Encode(text, addsSpecial)];
    }

    /// <summary>Opens a list of prompts. A list of numbers is itself one prompt.</summary>
    private static RequestField[] Split(RequestField field)
    {
        if (field.Value.ValueKind != JsonValueKind.Array) return [field];
        if (field.Value.GetArrayLength() == 0) throw Missing(field.Path);
        if (field.Value[0].ValueKind == JsonValueKind.Number) return [field];
        var items = field.Items(Expected);
        foreach (var item in items)
        {
            if (item.Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Array)) throw item.Wrong(Expected);
        }

        return items;
    }

    private static KreweException Missing(string path) => new(
        ErrorCode.InvalidRequest, "Either prompt or prompt_embeds must be provided and non-empty.", path);
}
