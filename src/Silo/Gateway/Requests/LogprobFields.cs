using System.Text.Json;
using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>Which log-probabilities a request wants.</summary>
/// <param name="Output">Alternatives beside each output token's; null = none at all.</param>
/// <param name="Prompt">Alternatives beside each prompt token's, in a field of their own; null = none at all.</param>
/// <param name="Echo">The prompt is part of the answer's text, and its log-probabilities of the output's.</param>
internal sealed record LogprobFields(int? Output, int? Prompt, bool Echo)
{
    private const int AlternativesMax = 20;

    /// <summary>Alternatives that are computed for prompt tokens; null = none at all.</summary>
    public int? ComputedPrompt => (Echo ? Output : null, Prompt) switch
    {
        (null, var prompt) => prompt,
        (var echoed, null) => echoed,
        var (echoed, prompt) => Math.Max(echoed.Value, prompt.Value),
    };

    public static LogprobFields ReadChat(RequestField root)
    {
        var wanted = root.Find("logprobs")?.AsBool() ?? false;
        var alternatives = root.Find("top_logprobs") is { } top ? ReadCount(top) : (int?)null;
        if (alternatives is not null && !wanted)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, "when using `top_logprobs`, `logprobs` must be set to true.",
                "top_logprobs");
        }

        return new LogprobFields(wanted ? alternatives ?? 0 : null, ReadPrompt(root), Echo: false);
    }

    public static LogprobFields ReadText(RequestField root)
    {
        int? alternatives = root.Find("logprobs") is { Value.ValueKind: not JsonValueKind.False } count
            ? ReadCount(count)
            : null;
        return new LogprobFields(alternatives, ReadPrompt(root), root.Find("echo")?.AsBool() ?? false);
    }

    private static int? ReadPrompt(RequestField root) =>
        root.Find("prompt_logprobs") is { } field ? ReadCount(field) : null;

    private static int ReadCount(RequestField field)
    {
        var count = field.AsLong(0);
        return count <= AlternativesMax
            ? (int)count
            : throw new KreweException(
                ErrorCode.InvalidRequest,
                $"Requested sample logprobs of {count}, which is greater than max allowed: {AlternativesMax}",
                field.Path);
    }
}
