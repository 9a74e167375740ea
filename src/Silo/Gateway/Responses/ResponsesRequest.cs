using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Responses;

/// <summary>A body of /v1/responses as one of /v1/chat/completions. Stateless: the client sends the whole conversation.
/// </summary>
internal static class ResponsesRequest
{
    private static readonly string[] TextParts = ["input_text", "output_text", "text"];

    public static JsonObject ToChat(RequestField root)
    {
        RefuseState(root);
        var chat = ChatTranslation.Begin(root);
        chat["messages"] = ReadMessages(root);
        ChatTranslation.Copy(root, "max_output_tokens", chat, "max_completion_tokens");
        ChatTranslation.Copy(root, "stop", chat, "stop");
        ReadLogprobs(root, chat);
        ReadTools(root, chat);
        if (root.Find("text")?.DemandObject().Find("format") is { } format)
            chat["response_format"] = ReadFormat(format);
        if (root.Find("reasoning")?.DemandObject().Find("effort") is { } effort)
            chat["reasoning_effort"] = effort.Value.ToNode();
        return chat;
    }

    private static void RefuseState(RequestField root)
    {
        ChatTranslation.Refuse(root, "previous_response_id", _ => false);
        ChatTranslation.Refuse(root, "conversation", _ => false);
        ChatTranslation.Refuse(root, "prompt", _ => false);
        ChatTranslation.Refuse(root, "background", value => value.ValueKind == JsonValueKind.False);
        ChatTranslation.Refuse(root, "max_tool_calls", _ => false);
        ChatTranslation.Refuse(
            root, "truncation", value => value.ValueKind == JsonValueKind.String && value.ValueEquals("disabled"));
    }

    private static JsonArray ReadMessages(RequestField root)
    {
        var messages = new JsonArray();
        if (root.Find("instructions") is { } instructions)
            messages.Add(ChatTranslation.Message("system", ChatTranslation.ReadText(instructions, TextParts)));
        var input = root.Required("input");
        if (input.Value.ValueKind == JsonValueKind.String)
        {
            messages.Add(ChatTranslation.Message("user", input.AsString()));
            return messages;
        }

        foreach (var item in input.Items("a string or an array of items"))
        {
            if (ReadItem(item) is not { } message) continue;
            if (messages is not [.., JsonObject last] || !TryJoin(last, message)) messages.Add(message);
        }

        return messages;
    }

    /// <summary>What a model wrote at once is one message: thoughts, then a text, then calls.</summary>
    private static bool TryJoin(JsonObject message, JsonObject next)
    {
        if ((string?)message["role"] != "assistant" || (string?)next["role"] != "assistant") return false;
        if (next.ContainsKey("reasoning_content")) return false;
        if (next["tool_calls"] is JsonArray { Count: 1 } calls)
        {
            var all = message["tool_calls"] as JsonArray;
            if (all is null) message["tool_calls"] = all = [];
            all.Add(calls[0]!.DeepClone());
            return true;
        }

        if (message["content"] is not null || message.ContainsKey("tool_calls")) return false;
        message["content"] = next["content"]?.DeepClone();
        return true;
    }

    private static JsonObject? ReadItem(RequestField item)
    {
        var type = item.DemandObject().Find("type");
        switch (type?.AsString() ?? "message")
        {
            case "message":
                return ChatTranslation.Message(
                    item.Required("role").AsString(), ChatTranslation.ReadText(item.Required("content"), TextParts));
            case "function_call":
                var call = ChatTranslation.Message("assistant", null);
                call["tool_calls"] = new JsonArray(new JsonObject
                {
                    ["id"] = item.Required("call_id").AsString(),
                    ["type"] = "function",
                    ["function"] = new JsonObject
                    {
                        ["name"] = item.Required("name").AsString(),
                        ["arguments"] = item.Required("arguments").AsString(),
                    },
                });
                return call;
            case "function_call_output":
                var output = ChatTranslation.Message(
                    "tool", ChatTranslation.ReadText(item.Required("output"), TextParts));
                output["tool_call_id"] = item.Required("call_id").AsString();
                return output;
            case "reasoning":
                var thoughts = ChatTranslation.ReadText(item.Find("content"), "reasoning_text", "text");
                if (string.IsNullOrEmpty(thoughts))
                    thoughts = ChatTranslation.ReadText(item.Find("summary"), "summary_text", "text");
                if (string.IsNullOrEmpty(thoughts)) return null;
                // The model's template knows of which turns it wants them.
                var thought = ChatTranslation.Message("assistant", null);
                thought["reasoning_content"] = thoughts;
                return thought;
            default:
                throw new KreweException(
                    ErrorCode.UnsupportedParameter,
                    $"'{type!.Value.Path}' is \"{type.Value.AsString()}\"; items that can be read are message, "
                    + "function_call, function_call_output and reasoning.",
                    type.Value.Path);
        }
    }

    private static void ReadLogprobs(RequestField root, JsonObject chat)
    {
        var wanted = false;
        foreach (var item in root.Find("include")?.Items("an array of strings") ?? [])
        {
            switch (item.AsString())
            {
                case "message.output_text.logprobs": wanted = true; break;
                case "reasoning.encrypted_content": break;
                default: throw item.Wrong("\"message.output_text.logprobs\"");
            }
        }

        if (root.Find("top_logprobs") is { } top) chat["top_logprobs"] = top.Value.ToNode();
        if (wanted || root.Find("top_logprobs") is not null) chat["logprobs"] = true;
    }

    private static void ReadTools(RequestField root, JsonObject chat)
    {
        if (root.Find("tools") is { } tools)
        {
            var list = new JsonArray();
            foreach (var tool in tools.Items("an array of tools"))
            {
                var function = (JsonObject)tool.DemandObject().Value.ToNode()!;
                function.Remove("type");
                list.Add(new JsonObject
                {
                    ["type"] = tool.Required("type").AsString(),
                    ["function"] = function,
                });
            }

            chat["tools"] = list;
        }

        if (root.Find("tool_choice") is not { } choice) return;
        chat["tool_choice"] = choice.Value.ValueKind == JsonValueKind.Object && choice.Find("name") is { } name
            ? new JsonObject { ["type"] = "function", ["function"] = new JsonObject { ["name"] = name.AsString() } }
            : choice.Value.ToNode();
    }

    /// <summary>The flat form of this API becomes the nested one of chat.</summary>
    private static JsonObject ReadFormat(RequestField format)
    {
        var type = format.Required("type").AsString();
        if (type != "json_schema") return new JsonObject { ["type"] = type };
        var schema = new JsonObject { ["name"] = format.Required("name").AsString() };
        foreach (var name in (string[])["schema", "strict", "description"])
            ChatTranslation.Copy(format, name, schema, name);
        return new JsonObject { ["type"] = type, ["json_schema"] = schema };
    }
}
