namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// What an answer grew by. <paramref name="FinishReason"/> is set on the last one: "stop" or "length".
/// </summary>
internal sealed record AnswerDelta(string Text, IReadOnlyList<int> TokenIds, string? FinishReason);

/// <summary>
/// Tokens counted as OpenAI and vLLM do: a stop token counts as output, though its text is not shown.
/// </summary>
/// <param name="CachedTokens">Prompt tokens that were in a prefix cache; null when not known.</param>
internal readonly record struct AnswerUsage(int PromptTokens, int OutputTokens, int? CachedTokens);
