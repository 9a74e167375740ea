using System.Text.Json.Serialization;

namespace Krewe.Cli;

/// <summary>One message of a conversation, as the OpenAI API spells it.</summary>
internal sealed record ChatTurn(
    [property: JsonPropertyName("role")] string Role, [property: JsonPropertyName("content")] string Content);

/// <summary>How a chat's answers are drawn; null leaves it to the model.</summary>
internal sealed record ChatSampling(int? MaxTokens, float? Temperature, long? Seed);

internal sealed record ChatRequest
{
    [JsonPropertyName("model")]
    public required string Model { get; init; }

    [JsonPropertyName("messages")]
    public required IReadOnlyList<ChatTurn> Messages { get; init; }

    [JsonPropertyName("stream")]
    public bool Stream { get; init; } = true;

    [JsonPropertyName("max_completion_tokens")]
    public int? MaxTokens { get; init; }

    [JsonPropertyName("temperature")]
    public float? Temperature { get; init; }

    [JsonPropertyName("seed")]
    public long? Seed { get; init; }
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ChatRequest))]
internal sealed partial class ChatJson : JsonSerializerContext;
