using System.Text.Json.Serialization;

namespace Krewe.Cli;

/// <summary>One answer of <c>krewe generate</c>, as <c>--json</c> prints it.</summary>
internal sealed record GenerateAnswer
{
    public required IReadOnlyList<int> PromptTokenIds { get; init; }

    /// <summary>Every output token, the one that ended the answer included.</summary>
    public required IReadOnlyList<int> TokenIds { get; init; }

    public required string Text { get; init; }

    /// <summary>"stop" or "length".</summary>
    public required string FinishReason { get; init; }

    public required long Seed { get; init; }

    /// <summary>Equal tokens are promised where this is equal.</summary>
    public required string Numerics { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(GenerateAnswer))]
internal sealed partial class GenerateJson : JsonSerializerContext;
