using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Messages;

/// <summary>A body of Anthropic's /v1/messages as one of /v1/chat/completions.</summary>
internal static class MessagesRequest
{
    /// <param name="root">The body.</param>
    /// <param name="thinks">The model does; else there are no thoughts to limit.</param>
    /// <param name="counts">Only the prompt's tokens are counted: no limit of the output is needed.</param>
    public static JsonObject ToChat(RequestField root, bool thinks, bool counts = false)
    {
        ChatTranslation.Refuse(root, "mcp_servers", value => value.ValueKind == JsonValueKind.Array
            && value.GetArrayLength() == 0);
        var chat = ChatTranslation.Begin(root);
        var messages = new JsonArray();
        if (ChatTranslation.ReadText(root.Find("system"), "text") is { } system)
            messages.Add(ChatTranslation.Message("system", system));
        foreach (var message in root.Required("messages").Items("an array of messages")) Read(message, messages);
        chat["messages"] = messages;
        if (!counts) chat["max_completion_tokens"] = root.Required("max_tokens").Value.ToNode();
        ChatTranslation.Copy(root, "stop_sequences", chat, "stop");
        ReadTools(root, chat);
        ReadThinking(root, chat, thinks);
        var format = root.Find("output_format") ?? root.Find("output_config")?.DemandObject().Find("format");
        if (format is { } form) chat["response_format"] = ReadFormat(form);
        return chat;
    }

    private static void Read(RequestField message, JsonArray messages)
    {
        var role = message.DemandObject().Required("role").AsString();
        if (role is not ("user" or "assistant" or "system"))
            throw message.Required("role").Wrong("\"user\" or \"assistant\"");
        var content = message.Required("content");
        if (content.Value.ValueKind == JsonValueKind.String)
        {
            messages.Add(ChatTranslation.Message(role, content.AsString()));
            return;
        }

        var (text, thoughts) = ("", "");
        var calls = new JsonArray();
        foreach (var block in content.Items("a string or an array of blocks"))
        {
            var type = block.Required("type");
            switch (type.AsString())
            {
                case "text":
                    text += block.Required("text").AsString();
                    break;
                case "thinking":
                    thoughts += block.Required("thinking").AsString();
                    break;
                case "redacted_thinking":
                    // Nobody but who wrote it can read it.
                    break;
                case "tool_use":
                    calls.Add(new JsonObject
                    {
                        ["id"] = block.Required("id").AsString(),
                        ["type"] = "function",
                        ["function"] = new JsonObject
                        {
                            ["name"] = block.Required("name").AsString(),
                            ["arguments"] = block.Required("input").DemandObject().Value.GetRawText(),
                        },
                    });
                    break;
                case "tool_result":
                    var result = ChatTranslation.Message(
                        "tool", ChatTranslation.ReadText(block.Find("content"), "text") ?? "");
                    result["tool_call_id"] = block.Required("tool_use_id").AsString();
                    messages.Add(result);
                    break;
                default:
                    throw new KreweException(
                        ErrorCode.UnsupportedParameter,
                        $"'{type.Path}' is \"{type.AsString()}\"; blocks that can be read are text, tool_use, "
                        + "tool_result and thinking.",
                        type.Path);
            }
        }

        if (text.Length == 0 && thoughts.Length == 0 && calls.Count == 0) return;
        var read = ChatTranslation.Message(role, text.Length > 0 || calls.Count == 0 ? text : null);
        if (calls.Count > 0) read["tool_calls"] = calls;
        // The model's template knows of which turns it wants them.
        if (thoughts.Length > 0) read["reasoning_content"] = thoughts;
        messages.Add(read);
    }

    private static JsonObject ReadFormat(RequestField format)
    {
        if (format.DemandObject().Required("type").AsString() != "json_schema")
            throw format.Required("type").Wrong("\"json_schema\"");
        return new JsonObject
        {
            ["type"] = "json_schema",
            ["json_schema"] = new JsonObject { ["schema"] = format.Required("schema").Value.ToNode() },
        };
    }

    private static void ReadTools(RequestField root, JsonObject chat)
    {
        if (root.Find("tools") is { } tools)
        {
            var list = new JsonArray();
            foreach (var tool in tools.Items("an array of tools"))
            {
                var function = new JsonObject { ["name"] = tool.DemandObject().Required("name").AsString() };
                ChatTranslation.Copy(tool, "description", function, "description");
                ChatTranslation.Copy(tool, "input_schema", function, "parameters");
                list.Add(new JsonObject { ["type"] = "function", ["function"] = function });
            }

            chat["tools"] = list;
        }

        if (root.Find("tool_choice") is not { } choice) return;
        if (choice.DemandObject().Find("disable_parallel_tool_use") is { } single)
            chat["parallel_tool_calls"] = !single.AsBool();
        chat["tool_choice"] = choice.DemandObject().Required("type").AsString() switch
        {
            "auto" => "auto",
            "none" => "none",
            "any" => "required",
            "tool" => new JsonObject
            {
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = choice.Required("name").AsString() },
            },
            _ => throw choice.Required("type").Wrong("\"auto\", \"any\", \"tool\" or \"none\""),
        };
    }

    /// <summary>Whether to think, in the words of the models' templates, and how long at most.</summary>
    private static void ReadThinking(RequestField root, JsonObject chat, bool thinks)
    {
        if (root.Find("thinking") is not { } field) return;
        var isAsked = field.DemandObject().Required("type").AsString() switch
        {
            "enabled" or "adaptive" => true,
            "disabled" => false,
            _ => throw field.Required("type").Wrong("\"enabled\", \"adaptive\" or \"disabled\""),
        };
        var budget = field.Find("budget_tokens")?.AsInt(1, int.MaxValue);
        if (thinks && isAsked && budget is not null) chat.TryAdd(RequestReader.ThoughtBudget, budget);
        if (!isAsked || field.Find("display")?.AsString() == "omitted") chat.TryAdd("include_reasoning", false);
        var arguments = chat["chat_template_kwargs"] as JsonObject;
        if (arguments is null) chat["chat_template_kwargs"] = arguments = [];
        arguments.TryAdd("enable_thinking", isAsked);
    }
}
