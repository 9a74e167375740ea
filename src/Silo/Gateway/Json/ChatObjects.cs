using System.Text.Json;
using System.Text.Json.Serialization;

namespace Krewe.Silo.Gateway.Json;

/// <summary>Answer of a chat request.</summary>
internal sealed record ChatCompletion
{
    public required string Id { get; init; }

    public string Object { get; } = "chat.completion";

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<ChatChoice> Choices { get; init; }

    public required UsageObject Usage { get; init; }

    public required string SystemFingerprint { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptLogprobList? PromptLogprobs { get; init; }
}

internal sealed record ChatChoice
{
    public int Index { get; init; }

    public required ChatAnswer Message { get; init; }

    public ChatLogprobs? Logprobs { get; init; }

    public required string FinishReason { get; init; }

    /// <summary>The stop string, or the id of the request's own stop token, that ended the answer.</summary>
    public JsonElement? StopReason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

internal sealed record ChatAnswer(string Role, string? Content, string? Refusal)
{
    /// <summary>What the model thought before it answered.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChatToolCall>? ToolCalls { get; init; }
}

/// <summary>A call; in a stream the first entry of an index has all, later ones only further arguments.</summary>
internal sealed record ChatToolCall
{
    /// <summary>Only in a stream.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Index { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; init; }

    public required ChatFunctionCall Function { get; init; }
}

/// <param name="Arguments">JSON as a string.</param>
internal sealed record ChatFunctionCall(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Name, string Arguments);

/// <summary>One event of a streamed chat answer.</summary>
internal sealed record ChatChunk
{
    public required string Id { get; init; }

    public string Object { get; } = "chat.completion.chunk";

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required string SystemFingerprint { get; init; }

    public required IReadOnlyList<ChatChunkChoice> Choices { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public UsageObject? Usage { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PromptTokenIds { get; init; }
}

internal sealed record ChatChunkChoice
{
    public int Index { get; init; }

    public required ChatDelta Delta { get; init; }

    public ChatLogprobs? Logprobs { get; init; }

    public string? FinishReason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? StopReason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

internal sealed record ChatDelta
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChatToolCall>? ToolCalls { get; init; }
}
