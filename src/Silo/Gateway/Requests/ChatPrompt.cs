using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Reasoning;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>The prompt of a chat request: messages through the model's template to tokens.</summary>
internal sealed class ChatPrompt(ServedModel model, TimeProvider time)
{
    private const string Assistant = "assistant";

    private static readonly string[] Efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];

    private static readonly JsonElement False = JsonElement.Parse("false");

    private const string ContentExpected = "a string or an array of text parts";

    /// <param name="root">The body.</param>
    /// <param name="tools">What the model is told of functions, as sent; null where nothing may be called.</param>
    public ImmutableArray<int> Read(RequestField root, JsonElement? tools = null)
    {
        var template = model.Folder.ChatTemplate ?? throw new KreweException(
            ErrorCode.InvalidRequest,
            $"The model '{model.Name}' has no chat template. Use /v1/completions, or a model that was made for chat.");
        var items = root.Required("messages").Items("an array of messages");
        if (items.Length == 0) throw root.Required("messages").Wrong("an array of at least one message");
        var messages = items.Select(ReadMessage).ToList();

        var continues = root.Find("continue_final_message")?.AsBool() ?? false;
        var addsPrompt = root.Find("add_generation_prompt")?.AsBool();
        if (continues && addsPrompt == true)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                "'continue_final_message' and 'add_generation_prompt' exclude each other; send one of them.",
                "continue_final_message");
        }

        if (continues) messages[^1] = OpenThought(messages[^1], template);
        var text = Render(template, new ChatTemplateInput
        {
            Messages = ToolPrompt.Spell(messages, tools, template),
            Tools = tools,
            AddGenerationPrompt = addsPrompt ?? !continues,
            Arguments = ReadArguments(root),
            BosToken = model.Folder.BosToken,
            EosToken = model.Folder.EosToken,
            Clock = time,
        });
        if (continues) text = CutAfterLast(text, messages[^1], items[^1]);
        // The template writes the begin token itself, so nothing is added unless the client asks for it.
        var addsSpecial = root.Find("add_special_tokens")?.AsBool() ?? false;
        return [.. model.Folder.Tokenizer.Encode(text, addsSpecial)];
    }

    /// <summary>Templates that know thoughts write them with their tags: a thought that stands in the text and is to go
    /// on is given to them as one.</summary>
    private static ChatMessage OpenThought(ChatMessage message, ChatTemplate template)
    {
        var text = message.Content?.TrimStart() ?? "";
        var isOpen = message.Role == Assistant && text.StartsWith(ReasoningUse.Opening, StringComparison.Ordinal)
            && !text.Contains(ReasoningUse.Closing, StringComparison.Ordinal);
        if (!isOpen || message.Reasoning is not null || !template.Mentions("reasoning_content")) return message;
        var thought = text[ReasoningUse.Opening.Length..];
        return string.IsNullOrWhiteSpace(thought) ? message : message with { Content = "", Reasoning = thought };
    }

    /// <summary>The message ends within a thought, written in its text or told in its own field with nothing behind
    /// it.</summary>
    public static bool EndsInThought(RequestField message)
    {
        var read = ReadMessage(message);
        if (read.Role != Assistant) return false;
        if (string.IsNullOrWhiteSpace(read.Content)) return !string.IsNullOrWhiteSpace(read.Reasoning);
        return read.Content.LastIndexOf(ReasoningUse.Opening, StringComparison.Ordinal)
            > read.Content.LastIndexOf(ReasoningUse.Closing, StringComparison.Ordinal);
    }

    private static string Render(ChatTemplate template, ChatTemplateInput input)
    {
        try
        {
            return template.Render(input);
        }
        catch (TemplateException e)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"The model's chat template refuses these messages: {e.Message}",
                "messages",
                e);
        }
    }

    private static ChatMessage ReadMessage(RequestField message)
    {
        var role = message.Required("role");
        if (role.AsString().Length == 0) throw role.Wrong("a role, for instance \"user\"");
        // Copied: the message is used after the body's buffer was given back.
        var calls = message.Find("tool_calls")?.Value.Clone();
        return new ChatMessage(role.AsString(), ReadContent(message, role.AsString(), calls))
        {
            ToolCalls = calls,
            ToolCallId = message.Find("tool_call_id")?.AsString(),
            Name = message.Find("name")?.AsString(),
            Reasoning = (message.Find("reasoning") ?? message.Find("reasoning_content"))?.AsString(),
        };
    }

    private static string? ReadContent(RequestField message, string role, JsonElement? toolCalls)
    {
        if (message.Find("content") is not { } content)
        {
            // An assistant may have only called tools, or refused.
            if (role == Assistant) return toolCalls is null ? "" : null;
            return message.Required("content").AsString();
        }

        if (content.Value.ValueKind == JsonValueKind.String) return content.AsString();
        var text = new StringBuilder();
        foreach (var part in content.Items(ContentExpected))
        {
            var type = part.Required("type");
            if (type.AsString() != "text")
            {
                throw new KreweException(
                    ErrorCode.UnsupportedParameter,
                    $"'{type.Path}' is \"{type.AsString()}\"; this model reads text only, so every part must be of "
                    + "the type \"text\".",
                    type.Path);
            }

            text.Append(part.Required("text").AsString());
        }

        return text.ToString();
    }

    private static Dictionary<string, JsonElement>? ReadArguments(RequestField root)
    {
        Dictionary<string, JsonElement>? arguments = null;
        foreach (var (name, field) in root.Find("chat_template_kwargs")?.Members() ?? [])
            (arguments ??= new(StringComparer.Ordinal))[name] = field.Value.Clone();
        if (root.Find("reasoning_effort") is not { } effort) return arguments;
        // What it does is the template's to say, as in vLLM.
        if (!Efforts.Contains(effort.AsString()))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"'{effort.Path}' is \"{effort.AsString()}\". Input should be {string.Join(", ", Efforts)}.",
                effort.Path);
        }

        (arguments ??= new(StringComparer.Ordinal)).TryAdd("reasoning_effort", effort.Value.Clone());
        // Templates of models that think or not know another word for it.
        if (effort.AsString() == "none") arguments.TryAdd("enable_thinking", False);
        return arguments;
    }

    /// <summary>What the template writes behind the last message's text is left to the model.</summary>
    private static string CutAfterLast(string rendered, ChatMessage last, RequestField field)
    {
        // Templates may trim what they print. With nothing said yet, the thought goes on.
        var isThought = string.IsNullOrWhiteSpace(last.Content);
        var content = (isThought ? last.Reasoning : last.Content)?.Trim() ?? "";
        // A short thought may look like a part of the tag that the template closes it with.
        var closing = isThought ? rendered.LastIndexOf(ReasoningUse.Closing, StringComparison.Ordinal) : -1;
        var said = closing < 0 ? rendered : rendered[..closing];
        var start = content.Length == 0 ? -1 : said.LastIndexOf(content, StringComparison.Ordinal);
        if (start < 0)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"'{field.Path}' has no text that 'continue_final_message' could continue.", $"{field.Path}.content");
        }

        return said[..(start + content.Length)];
    }
}
