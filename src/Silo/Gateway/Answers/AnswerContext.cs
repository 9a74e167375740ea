using System.Text.Json;
using Krewe.Models;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Requests;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>What a format writes from, beside the deltas.</summary>
/// <param name="Head">What every event repeats.</param>
/// <param name="Request">What was asked for.</param>
/// <param name="Tokenizer">Of the model.</param>
/// <param name="PromptLogprobs">Of a sequence's prompt; complete with the first delta.</param>
internal sealed record AnswerContext(
    AnswerHead Head,
    GenerationRequest Request,
    Tokenizer Tokenizer,
    Func<int, IReadOnlyList<Wire.TokenLogprobs>> PromptLogprobs)
{
    public LogprobWriter Logprobs { get; } = new(Tokenizer, Request.TokensAsIds);

    public UsageObject? Continuous(AnswerUsage usage) =>
        Request.ContinuousUsage ? UsageObject.Of(usage) : null;

    /// <summary>vLLM's stop_reason: a string, a token id, or null.</summary>
    public static JsonElement? StopReasonOf(AnswerEnd? end) => end switch
    {
        { StopString: { } text } => JsonSerializer.SerializeToElement(text, GatewayJson.Instance.String),
        { StopToken: { } token } => JsonSerializer.SerializeToElement(token, GatewayJson.Instance.Int32),
        _ => null,
    };

    /// <summary>vLLM's prompt_logprobs; null when they were not asked for.</summary>
    public PromptLogprobList? PromptLogprobsOf(int sequence) => Request.PromptLogprobs is { } alternatives
        ? Logprobs.Prompt(Request.Specs[sequence].PromptTokens, PromptLogprobs(sequence), alternatives)
        : null;
}
