namespace Krewe.Silo.Gateway.Json;

/// <summary>Log-probabilities of a chat answer's tokens.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob> Content)
{
    public object? Refusal { get; }
}

internal sealed record ChatTokenLogprob(
    string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatTopLogprob> TopLogprobs);

internal sealed record ChatTopLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes);

/// <summary>Log-probabilities of a text completion's tokens: four lists of equal length.</summary>
internal sealed record TextLogprobs
{
    /// <summary>Where each token begins in the text that is made of the tokens.</summary>
    public required IReadOnlyList<int> TextOffset { get; init; }

    /// <summary>Null for a prompt's first token: nothing comes before it.</summary>
    public required IReadOnlyList<float?> TokenLogprobs { get; init; }

    public required IReadOnlyList<string> Tokens { get; init; }

    public required IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs { get; init; }
}

/// <summary>vLLM's prompt_logprobs: null for the first token, then alternatives by token id.</summary>
internal sealed class PromptLogprobList : List<IReadOnlyDictionary<string, PromptLogprob>?>;

internal sealed record PromptLogprob(float Logprob, int Rank, string DecodedToken);
