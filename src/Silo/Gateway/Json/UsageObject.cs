using System.Text.Json.Serialization;
using Krewe.Silo.Gateway.Answers;

namespace Krewe.Silo.Gateway.Json;

internal sealed record UsageObject(int PromptTokens, int CompletionTokens, int TotalTokens)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PromptTokensDetails? PromptTokensDetails { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CompletionTokensDetails? CompletionTokensDetails { get; init; }

    public static UsageObject Of(AnswerUsage usage) =>
        new(usage.PromptTokens, usage.OutputTokens, usage.PromptTokens + usage.OutputTokens)
        {
            PromptTokensDetails = usage.CachedTokens is { } cached ? new PromptTokensDetails(cached) : null,
            CompletionTokensDetails = usage.ReasoningTokens is { } thoughts
                ? new CompletionTokensDetails(thoughts)
                : null,
        };
}

internal sealed record PromptTokensDetails(int CachedTokens);

internal sealed record CompletionTokensDetails(int ReasoningTokens);
