namespace Krewe.Kernels;

/// <summary>How a token is drawn from logits. Immutable; one object serves a sequence's whole life.</summary>
public sealed record SamplerSettings
{
    /// <summary>Divides the logits; 0 = greedy.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keeps the fewest best tokens whose probabilities reach this, (0, 1]; 1 = off.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keeps this many best tokens; null = off.</summary>
    public int? TopK { get; init; }

    /// <summary>Drops tokens less likely than this share of the best one's probability, [0, 1]; 0 = off.</summary>
    public float MinP { get; init; }

    /// <summary>Subtracted from the logit of every token that the output has.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from a token's logit once for each time the output has it.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens in prompt or output; 1 = off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Added to the logits of single tokens, before anything else.</summary>
    public IReadOnlyList<LogitBias> LogitBias { get; init; } = [];

    /// <summary>Keys the generator.</summary>
    public long Seed { get; init; }

    /// <summary>Which of the request's streams.</summary>
    public int Choice { get; init; }

    internal bool IsGreedy => Temperature == 0;

    internal bool HasPenalties => PresencePenalty != 0 || FrequencyPenalty != 0 || RepetitionPenalty != 1;
}

/// <summary>A value added to one token's logit.</summary>
public readonly record struct LogitBias(int Token, float Value);
