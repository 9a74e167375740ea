using System.Text;
using System.Text.Json.Nodes;

namespace Krewe.Silo.Gateway.Responses;

/// <summary>What an item of a response's output is.</summary>
internal enum ResponseItemKind
{
    Reasoning,
    Message,
    Call,
}

/// <summary>One item of a response's output while it grows.</summary>
/// <param name="Index">Its place in the output.</param>
/// <param name="Id">Its own.</param>
/// <param name="CallId">What a call's result refers to.</param>
/// <param name="Name">The function's.</param>
internal sealed record ResponseItem(
    ResponseItemKind Kind, int Index, string Id, string? CallId = null, string? Name = null)
{
    /// <summary>The text of message or thoughts, or the call's arguments.</summary>
    public StringBuilder Text { get; } = new();

    public JsonArray Logprobs { get; } = [];

    public string Status { get; set; } = "in_progress";

    public bool IsCall => Kind == ResponseItemKind.Call;

    /// <summary>What names of events say its text is.</summary>
    public string TextName => Kind == ResponseItemKind.Reasoning ? "reasoning_text" : "output_text";

    public JsonObject ToJson(bool withContent = true)
    {
        var item = new JsonObject
        {
            ["id"] = Id,
            ["type"] = Kind switch
            {
                ResponseItemKind.Reasoning => "reasoning",
                ResponseItemKind.Message => "message",
                _ => "function_call",
            },
            ["status"] = Status,
        };
        switch (Kind)
        {
            case ResponseItemKind.Call:
                item["call_id"] = CallId;
                item["name"] = Name;
                item["arguments"] = withContent ? Text.ToString() : "";
                return item;
            case ResponseItemKind.Message:
                item["role"] = "assistant";
                break;
            default:
                item["summary"] = new JsonArray();
                break;
        }

        item["content"] = withContent ? new JsonArray(ToPart()) : new JsonArray();
        return item;
    }

    /// <summary>The only part of message or thoughts.</summary>
    public JsonObject ToPart(bool withContent = true)
    {
        var part = new JsonObject { ["type"] = TextName, ["text"] = withContent ? Text.ToString() : "" };
        if (Kind == ResponseItemKind.Reasoning) return part;
        part["annotations"] = new JsonArray();
        part["logprobs"] = withContent ? Logprobs.DeepClone() : new JsonArray();
        return part;
    }
}
