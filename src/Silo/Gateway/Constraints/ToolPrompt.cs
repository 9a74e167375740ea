using System.Text;
using System.Text.Json;
using Krewe.Models;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>
/// Tells a model of functions whose chat template does not: in words, in a system message, and with earlier calls and
/// results as the text that they would be.
/// </summary>
internal static class ToolPrompt
{
    /// <summary>The messages as a template can print them that knows nothing of tools.</summary>
    /// <param name="messages">Of the conversation.</param>
    /// <param name="tools">As sent; null when nothing may be called.</param>
    /// <param name="template">Of the model.</param>
    public static List<ChatMessage> Spell(List<ChatMessage> messages, JsonElement? tools, ChatTemplate template)
    {
        List<ChatMessage> spelled =
            template.Mentions("tool_calls") ? messages : [.. messages.Select(SpellCalls)];
        if (tools is not { } shown || template.Mentions("tools")) return spelled;
        var words = Describe(shown);
        return spelled is [{ Role: "system" } first, ..]
            ? [first with { Content = $"{first.Content}\n\n{words}" }, .. spelled[1..]]
            : [new ChatMessage("system", words), .. spelled];
    }

    private static ChatMessage SpellCalls(ChatMessage message)
    {
        if (message.Role == "tool")
            return new ChatMessage("user", $"<tool_response>\n{message.Content}\n</tool_response>");
        if (message.ToolCalls is not { ValueKind: JsonValueKind.Array } calls) return message;
        var text = ToolCallText.Of(ToolStyle.Tagged);
        var content = new StringBuilder(message.Content);
        foreach (var call in calls.EnumerateArray())
        {
            if (call.ValueKind != JsonValueKind.Object || !call.TryGetProperty("function", out var function)
                || function.ValueKind != JsonValueKind.Object) continue;
            if (content.Length > 0) content.Append('\n');
            content.Append(text.Opening).Append(text.BeforeName).Append(TextOf(function, "name"))
                .Append(text.BeforeArguments)
                .Append(TextOf(function, "arguments") is { Length: > 0 } sent ? sent : "{}").Append(text.Closing);
        }

        return message with { Content = content.ToString(), ToolCalls = null };
    }

    private static string TextOf(JsonElement function, string name) =>
        !function.TryGetProperty(name, out var value) ? ""
        : value.ValueKind == JsonValueKind.String ? value.GetString()!
        : value.GetRawText();

    private static string Describe(JsonElement tools)
    {
        var text = ToolCallText.Of(ToolStyle.Tagged);
        var words = new StringBuilder("You can call these functions:\n");
        foreach (var tool in tools.EnumerateArray())
            words.Append(Encoding.UTF8.GetString(tool.ToNode()!.ToBytes())).Append('\n');
        return words.Append("To call one, write its name and arguments like this:\n")
            .Append(text.Opening).Append(text.BeforeName).Append("NAME").Append(text.BeforeArguments)
            .Append("{...}").Append(text.Closing).ToString();
    }
}
