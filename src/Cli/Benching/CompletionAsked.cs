using System.Text.Json.Serialization;

namespace Krewe.Cli;

/// <summary>What the serving layer asks of the gateway: greedy, to the full length, token ids in every chunk.</summary>
internal sealed record CompletionAsked(IReadOnlyList<int> Prompt, int MaxTokens)
{
    public bool Stream { get; init; } = true;

    public float Temperature { get; init; }

    public bool IgnoreEos { get; init; } = true;

    public bool ReturnTokenIds { get; init; } = true;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(CompletionAsked))]
internal sealed partial class ServingJson : JsonSerializerContext;
