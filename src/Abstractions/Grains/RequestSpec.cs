using System.Collections.Immutable;
using System.Globalization;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>How a token is drawn from logits. Same meaning as the wire message of this name.</summary>
[GenerateSerializer, Immutable]
public sealed record SamplingSpec
{
    /// <summary>0 = greedy.</summary>
    [Id(0)] public float Temperature { get; init; } = 1;

    /// <summary>(0, 1]; 1 = off.</summary>
    [Id(1)] public float TopP { get; init; } = 1;

    /// <summary>Null = off.</summary>
    [Id(2)] public int? TopK { get; init; }

    /// <summary>[0, 1]; 0 = off.</summary>
    [Id(3)] public float MinP { get; init; }

    /// <summary>Keys the counter-based generator; drawn at admission when the client gave none.</summary>
    [Id(4)] public long Seed { get; init; }

    [Id(5)] public float PresencePenalty { get; init; }

    [Id(6)] public float FrequencyPenalty { get; init; }

    /// <summary>1 = off.</summary>
    [Id(7)] public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Token id to value added to its logit; null = none.</summary>
    [Id(8)] public ImmutableDictionary<int, float>? LogitBias { get; init; }

    /// <summary>Null = no log-probabilities; 0 = the sampled token's only.</summary>
    [Id(9)] public int? TopLogprobs { get; init; }

    /// <summary>Keys the generator beside the seed: which of the answers to one prompt this is.</summary>
    [Id(10)] public int Choice { get; init; }

    /// <summary>The same as <see cref="TopLogprobs"/> for each prompt token but the first.</summary>
    [Id(11)] public int? PromptLogprobs { get; init; }

    /// <summary>What the output must look like, as text that the workers understand; "" = anything.</summary>
    [Id(12)] public string Constraint { get; init; } = "";

    /// <summary>How long the model may think, as text that the workers understand; "" = as long as it likes.</summary>
    [Id(13)] public string ThoughtLimit { get; init; } = "";
}

/// <summary>
/// What a client asked for, after validation, template and tokenizer: all that decides the tokens of one sequence. A
/// request for several answers has one of these for each.
/// </summary>
[GenerateSerializer, Immutable]
public sealed record RequestSpec
{
    [Id(0)] public required string RequestId { get; init; }

    [Id(1)] public required string Model { get; init; }

    [Id(2)] public required ImmutableArray<int> PromptTokens { get; init; }

    [Id(3)] public required int MaxOutputTokens { get; init; }

    [Id(4)] public SamplingSpec Sampling { get; init; } = new();

    [Id(5)] public ImmutableArray<int> StopTokens { get; init; } = [];

    [Id(6)] public bool IgnoreEos { get; init; }

    [Id(7)] public int MinOutputTokens { get; init; }

    /// <summary>Higher goes first.</summary>
    [Id(8)] public int Priority { get; init; }

    /// <summary>Prefix cache partition (tenant); "" = shared.</summary>
    [Id(9)] public string PrefixSalt { get; init; } = "";

    /// <summary>When the gateway took the request in, and by when it must be over (UTC).</summary>
    [Id(10)] public required DateTimeOffset ArrivedAt { get; init; }

    [Id(11)] public required DateTimeOffset Deadline { get; init; }

    /// <summary>Which of the request's sequences, from 0.</summary>
    [Id(12)] public int Choice { get; init; }

    /// <summary>
    /// What the gateway needs to write the answer again, in its own words; null for a request that nobody can resume.
    /// Only the first sequence has it.
    /// </summary>
    [Id(13)] public string? Answer { get; init; }

    /// <summary>W3C trace context of the gateway's span; null when nobody traces the request.</summary>
    [Id(30)] public string? TraceParent { get; init; }

    /// <summary>Key of the grain that keeps this sequence: the request's id for the first one.</summary>
    public string GrainKey => GrainKeyOf(RequestId, Choice);

    /// <summary>A request's id has no slash, so no other request has this key.</summary>
    public static string GrainKeyOf(string requestId, int choice) =>
        choice == 0 ? requestId : string.Create(CultureInfo.InvariantCulture, $"{requestId}/{choice}");
}
