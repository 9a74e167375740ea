using System.Text.Json;
using System.Text.Json.Serialization;

namespace Krewe.Silo.Gateway.Json;

/// <summary>Answer of a text completion, and one event of a streamed one: both have the same shape.</summary>
internal sealed record TextCompletion
{
    public required string Id { get; init; }

    public string Object { get; } = "text_completion";

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<TextChoice> Choices { get; init; }

    public required string SystemFingerprint { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public UsageObject? Usage { get; init; }
}

internal sealed record TextChoice
{
    public int Index { get; init; }

    public required string Text { get; init; }

    public TextLogprobs? Logprobs { get; init; }

    public string? FinishReason { get; init; }

    /// <summary>The stop string, or the id of the request's own stop token, that ended the answer.</summary>
    public JsonElement? StopReason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptLogprobList? PromptLogprobs { get; init; }
}
