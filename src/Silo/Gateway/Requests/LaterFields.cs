using System.Text.Json;
using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>
/// Fields that this version knows and does not do yet. Ignoring one would give another answer than asked for, so each
/// is refused by name unless its value asks for nothing. Fields that nobody here knows are ignored.
/// </summary>
internal static class LaterFields
{
    private static readonly Dictionary<string, Func<JsonElement, bool>> Shared = new(StringComparer.Ordinal)
    {
        ["use_beam_search"] = IsFalse,
        ["allowed_token_ids"] = IsNothing,
        ["bad_words"] = IsEmptyArray,
        ["kv_transfer_params"] = IsNothing,
        ["detokenize"] = IsTrue,
        ["spaces_between_special_tokens"] = IsTrue,
        ["logits_processors"] = IsNothing,
        ["repetition_detection"] = IsNothing,
    };

    private static readonly Dictionary<string, Func<JsonElement, bool>> Chat = new(Shared, StringComparer.Ordinal)
    {
        ["functions"] = IsEmptyArray,
        ["function_call"] = IsNoneOrAuto,
        ["modalities"] = IsTextOnly,
        ["audio"] = IsNothing,
        ["prediction"] = IsNothing,
        ["web_search_options"] = IsNothing,
        ["documents"] = IsEmptyArray,
        ["chat_template"] = IsNothing,
        ["echo"] = IsFalse,
    };

    private static readonly Dictionary<string, Func<JsonElement, bool>> Text = new(Shared, StringComparer.Ordinal)
    {
        ["thinking_token_budget"] = IsNothing,
        ["suffix"] = value => value.ValueKind == JsonValueKind.String && value.ValueEquals(""),
        ["prompt_embeds"] = IsNothing,
        ["top_logprobs"] = IsNothing,
    };

    public static void RefuseChat(RequestField root) => Refuse(root, Chat);

    public static void RefuseCompletions(RequestField root) => Refuse(root, Text);

    private static void Refuse(RequestField root, Dictionary<string, Func<JsonElement, bool>> fields)
    {
        foreach (var (name, field) in root.Members())
        {
            if (!fields.TryGetValue(name, out var asksNothing)) continue;
            if (field.Value.ValueKind == JsonValueKind.Null || asksNothing(field.Value)) continue;
            throw new KreweException(
                ErrorCode.UnsupportedParameter,
                $"'{name}' with this value is not supported yet; leave it out or send its default.", name);
        }
    }

    private static bool IsNothing(JsonElement value) => value.ValueKind == JsonValueKind.Null;

    private static bool IsTrue(JsonElement value) => value.ValueKind == JsonValueKind.True;

    private static bool IsFalse(JsonElement value) => value.ValueKind == JsonValueKind.False;

    private static bool IsEmptyArray(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;

    // "auto" without functions leaves nothing to choose.
    private static bool IsNoneOrAuto(JsonElement value) =>
        value.ValueKind == JsonValueKind.String && (value.ValueEquals("none") || value.ValueEquals("auto"));

    private static bool IsTextOnly(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array
        && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && item.ValueEquals("text"));
}
