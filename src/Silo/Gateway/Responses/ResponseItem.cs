using System.Text;
using System.Text.Json.Nodes;

namespace Krewe.Silo.Gateway.Responses;

/// <summary>One item of a response's output while it grows: the message, or a call of a function.</summary>
/// <param name="Index">Its place in the output.</param>
/// <param name="Id">Its own.</param>
/// <param name="CallId">What the call's result refers to; null for a message.</param>
/// <param name="Name">The function's; null for a message.</param>
internal sealed record ResponseItem(int Index, string Id, string? CallId, string? Name)
{
    /// <summary>The message's text, or the call's arguments.</summary>
    public StringBuilder Text { get; } = new();

    public JsonArray Logprobs { get; } = [];

    public bool IsCall => Name is not null;

    public JsonObject ToJson(string status, bool withContent) => IsCall
        ? new JsonObject
        {
            ["id"] = Id,
            ["type"] = "function_call",
            ["status"] = status,
            ["call_id"] = CallId,
            ["name"] = Name,
            ["arguments"] = withContent ? Text.ToString() : "",
        }
        : new JsonObject
        {
            ["id"] = Id,
            ["type"] = "message",
            ["role"] = "assistant",
            ["status"] = status,
            ["content"] = withContent ? new JsonArray(ToPart()) : new JsonArray(),
        };

    /// <summary>The message's only part.</summary>
    public JsonObject ToPart(bool withContent = true) => new()
    {
        ["type"] = "output_text",
        ["text"] = withContent ? Text.ToString() : "",
        ["annotations"] = new JsonArray(),
        ["logprobs"] = withContent ? Logprobs.DeepClone() : new JsonArray(),
    };
}
