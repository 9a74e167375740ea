using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>One drawn token, with its log-probabilities where the request wants them.</summary>
internal readonly record struct SampledToken(int Token, TokenLogprobs? Logprobs = null);

/// <summary>All that one draw depends on. The output position is <c>OutputTokens.Length</c>.</summary>
internal readonly ref struct SamplingInput
{
    /// <summary>[VocabularySize]; the sampler may overwrite it.</summary>
    public required Span<float> Logits { get; init; }

    public required SamplingParameters Parameters { get; init; }

    /// <summary>Which of the request's n streams.</summary>
    public required int Choice { get; init; }

    public required ReadOnlySpan<int> PromptTokens { get; init; }

    public required ReadOnlySpan<int> OutputTokens { get; init; }

    /// <summary>Tokens that may not be drawn at this position.</summary>
    public required ReadOnlySpan<int> MaskedTokens { get; init; }
}

/// <summary>
/// Draws tokens. The result is a function of the input alone (no generator state), so that a stream goes on identically
/// wherever it is continued. Throws <see cref="Krewe.Abstractions.KreweException"/> on logits that are no numbers.
/// </summary>
internal interface ITokenSampler
{
    SampledToken Sample(in SamplingInput input);
}
