using System.Text.Json;

namespace Krewe.Models;

/// <summary>One message of a conversation, as a chat template sees it.</summary>
/// <param name="Role">For example system, user, assistant or tool; the template decides which it accepts.</param>
/// <param name="Content">The text; null for an assistant message that only calls tools.</param>
public sealed record ChatMessage(string Role, string? Content)
{
    /// <summary>OpenAI's <c>tool_calls</c> array. Arguments that are a string of JSON reach the template as the object
    /// they spell, because that is what templates pass to <c>tojson</c>.</summary>
    public JsonElement? ToolCalls { get; init; }

    public string? ToolCallId { get; init; }

    public string? Name { get; init; }

    /// <summary>Reaches the template as <c>reasoning_content</c>.</summary>
    public string? Reasoning { get; init; }
}
