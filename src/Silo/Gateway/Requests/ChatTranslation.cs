using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>What the two other chat dialects share on their way to a body of /v1/chat/completions.</summary>
internal static class ChatTranslation
{
    /// <summary>Fields that mean the same in every dialect: extensions that clients of vLLM use.</summary>
    private static readonly string[] Extensions =
    [
        "model", "stream", "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty",
        "repetition_penalty", "logit_bias", "ignore_eos", "min_tokens", "stop_token_ids", "skip_special_tokens",
        "include_stop_str_in_output", "chat_template_kwargs", "priority", "cache_salt", "return_token_ids",
        "parallel_tool_calls", "include_reasoning", "separate_reasoning", "thinking_token_budget",
    ];

    /// <summary>
    /// The chat body of a body in another dialect. Throws <see cref="KreweException"/> that names what is wrong.
    /// </summary>
    public static JsonDocument Translate(JsonDocument body, Func<RequestField, JsonObject> translate)
    {
        try
        {
            return RequestBody.Parse(RequestReader.Checked(body, root => translate(root).ToBytes()));
        }
        catch (ArgumentException e)
        {
            // JSON may say a name twice; an object that is put together cannot.
            throw new KreweException(ErrorCode.InvalidJson, $"The body is ambiguous: {e.Message}", innerException: e);
        }
    }

    /// <summary>An error about a field of the chat body, in the words of the dialect that was sent.</summary>
    public static KreweException Rename(KreweException error, params ReadOnlySpan<(string Chat, string Sent)> names)
    {
        foreach (var (chat, sent) in names)
        {
            if (error.Parameter is not { } path || !path.StartsWith(chat, StringComparison.Ordinal)) continue;
            if (path.Length > chat.Length && path[chat.Length] is not ('.' or '[')) continue;
            var renamed = sent + path[chat.Length..];
            var message = error.Message.Replace($"'{path}'", $"'{renamed}'", StringComparison.Ordinal);
            return new KreweException(error.Code, message, renamed, error);
        }

        return error;
    }

    /// <summary>A chat body with the fields that need no translation.</summary>
    public static JsonObject Begin(RequestField root)
    {
        var chat = new JsonObject();
        foreach (var name in Extensions) Copy(root, name, chat, name);
        return chat;
    }

    public static void Copy(RequestField root, string name, JsonObject chat, string chatName)
    {
        if (root.Find(name) is { } field) chat[chatName] = field.Value.ToNode();
    }

    /// <summary>The field may be there only with a value that asks for nothing.</summary>
    public static void Refuse(RequestField root, string name, Func<JsonElement, bool> asksNothing)
    {
        if (root.Find(name) is not { } field || asksNothing(field.Value)) return;
        throw new KreweException(
            ErrorCode.UnsupportedParameter,
            $"'{name}' with this value is not supported; leave it out or send its default.", name);
    }

    public static JsonObject Message(string role, string? content) => new() { ["role"] = role, ["content"] = content };

    /// <summary>Text of a string, or of an array of text parts; null where it is absent.</summary>
    public static string? ReadText(RequestField? field, params ReadOnlySpan<string> types)
    {
        if (field is not { } content) return null;
        if (content.Value.ValueKind == JsonValueKind.String) return content.AsString();
        var text = "";
        foreach (var part in content.Items("a string or an array of text parts"))
        {
            var type = part.Required("type");
            if (!types.Contains(type.AsString()))
            {
                throw new KreweException(
                    ErrorCode.UnsupportedParameter,
                    $"'{type.Path}' is \"{type.AsString()}\"; here only {string.Join(" or ", types.ToArray())} can be "
                    + "read.",
                    type.Path);
            }

            text += part.Required("text").AsString();
        }

        return text;
    }
}
