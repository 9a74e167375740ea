using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>What one sequence of an answer grew by: one token, and the text that it completes.</summary>
/// <param name="Text">Often empty: a token may hold half a character, or be held back for a stop string.</param>
/// <param name="Token">Null when only the end is told.</param>
/// <param name="Logprobs">Null where the request wants none.</param>
/// <param name="Tokens">The sequence's tokens up to here.</param>
/// <param name="End">Set on the last one.</param>
internal sealed record AnswerDelta(string Text, int? Token, Wire.TokenLogprobs? Logprobs, int Tokens, AnswerEnd? End)
{
    /// <summary>How many of its first tokens are thoughts, their tags included; 0 where nobody tells them apart.
    /// </summary>
    public int ReasoningTokens { get; init; }
}

/// <summary>How a sequence of an answer ended.</summary>
/// <param name="FinishReason">"stop" or "length".</param>
/// <param name="StopString">The stop string that ended it; null when none did.</param>
/// <param name="StopToken">The token of the request's own stop tokens that ended it; null when none did.</param>
internal sealed record AnswerEnd(string FinishReason, string? StopString = null, int? StopToken = null);

/// <summary>One whole sequence of an answer.</summary>
/// <param name="Index">Its place among the choices that are shown.</param>
/// <param name="Sequence">Which of the request's sequences it is.</param>
internal sealed record WholeChoice(
    int Index, int Sequence, string Text, IReadOnlyList<int> Tokens, IReadOnlyList<Wire.TokenLogprobs> Logprobs,
    AnswerEnd End)
{
    /// <inheritdoc cref="AnswerDelta.ReasoningTokens"/>
    public int ReasoningTokens { get; init; }
}

/// <summary>
/// Tokens counted as OpenAI and vLLM do: a stop token counts as output, though its text is not shown.
/// </summary>
/// <param name="CachedTokens">Prompt tokens that were in a prefix cache; null when not known.</param>
/// <param name="ReasoningTokens">Output tokens that are thoughts; null where they are not told apart.</param>
internal readonly record struct AnswerUsage(
    int PromptTokens, int OutputTokens, int? CachedTokens, int? ReasoningTokens);
