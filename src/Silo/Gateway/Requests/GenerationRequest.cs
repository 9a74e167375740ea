using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Reasoning;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>
/// A client's request, checked: what the cluster computes, and how the gateway makes the answer of it.
/// </summary>
internal sealed record GenerationRequest
{
    /// <summary>Prompt by prompt, <see cref="Candidates"/> sequences each.</summary>
    public required ImmutableArray<RequestSpec> Specs { get; init; }

    /// <summary>The first sequence: what all of them share is read from it.</summary>
    public RequestSpec Spec => Specs[0];

    /// <summary>Answers to each prompt that are shown.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>Answers to each prompt that are computed, at least <see cref="Choices"/>.</summary>
    public int Candidates { get; init; } = 1;

    /// <summary>Server-sent events instead of one JSON object.</summary>
    public bool Stream { get; init; }

    /// <summary>A last chunk with the usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>The usage so far on every chunk.</summary>
    public bool ContinuousUsage { get; init; }

    /// <summary>Texts that end the answer; none of them appears in it unless <see cref="ShowsStop"/>.</summary>
    public ImmutableArray<string> StopStrings { get; init; } = [];

    /// <summary>What ended the answer is a part of its text.</summary>
    public bool ShowsStop { get; init; }

    /// <summary>Stop tokens that the client named: their ids are told as the reason of the end.</summary>
    public ImmutableArray<int> OwnStopTokens { get; init; } = [];

    /// <summary>Leaves special tokens out of the answer's text.</summary>
    public bool SkipSpecialTokens { get; init; } = true;

    /// <summary>The answer carries the ids of prompt and output tokens.</summary>
    public bool ReturnTokenIds { get; init; }

    /// <summary>Tokens of log-probabilities are written as "token_id:5" instead of their text.</summary>
    public bool TokensAsIds { get; init; }

    /// <summary>Alternatives shown beside each token's log-probability; null = no log-probabilities.</summary>
    public int? Logprobs { get; init; }

    /// <summary>Alternatives shown beside each prompt token's log-probability, in a field of its own; null = none.
    /// </summary>
    public int? PromptLogprobs { get; init; }

    /// <summary>The text begins with the prompt.</summary>
    public bool Echo { get; init; }

    /// <summary>No output at all was asked for, only the prompt back.</summary>
    public bool HidesOutput { get; init; }

    /// <summary>Functions that may be called in the answer; null = none.</summary>
    public ToolUse? Tools { get; init; }

    /// <summary>How thoughts are told apart in the answer; null = they are not.</summary>
    public ReasoningUse? Reasoning { get; init; }

    /// <summary>The answer continues a text: its first space counts.</summary>
    public bool ContinuesText { get; init; }

    /// <summary>Each token must be told, whether it completes text or not.</summary>
    public bool ShowsEveryToken => ReturnTokenIds || Logprobs is not null || Candidates > Choices;

    /// <summary>Who asks.</summary>
    public TenantPolicy Tenant { get; init; } = new() { Name = TenantPolicy.Anonymous };

    /// <summary>It takes what others leave of the cluster.</summary>
    public bool IsBatch { get; init; }

    /// <summary>What the client sent; null for a request of our own.</summary>
    public AnswerOrigin? Origin { get; init; }
}
