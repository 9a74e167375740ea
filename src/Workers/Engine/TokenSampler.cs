using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>One drawn token, with its log-probabilities where the request wants them.</summary>
internal readonly record struct SampledToken(int Token, TokenLogprobs? Logprobs = null);

/// <summary>
/// Draws a sequence's next token with the Kernels' sampler. The result is a function of the logits, the sequence's
/// tokens and its settings alone, so that a stream goes on identically wherever it is continued.
/// </summary>
internal sealed class TokenSampler(int vocabularySize) : IDisposable
{
    private const int TopLogprobsMax = 20;

    private readonly Sampler _sampler = new(vocabularySize);

    /// <summary>Throws <see cref="KreweException"/> (EngineFault) when the logits are no numbers.</summary>
    public SampledToken Sample(Sequence sequence, ReadOnlySpan<float> logits)
    {
        try
        {
            var token = _sampler.Sample(
                logits, sequence.Sampling, sequence.OutputCount, sequence.Tokens[..sequence.PromptCount],
                sequence.Tokens[sequence.PromptCount..], sequence.MaskedTokens,
                sequence.Constraint is { } constraint ? constraint.Allowed : default);
            return new SampledToken(token, sequence.TopLogprobs is { } count ? Logprobs(logits, token, count) : null);
        }
        catch (InvalidLogitsException e)
        {
            throw new KreweException(ErrorCode.EngineFault, e.Message, innerException: e);
        }
    }

    /// <summary>How a device may draw the sequence's next token; null where that takes the CPU and the
    /// logits.</summary>
    /// <param name="ahead">Tokens before it that are drawn and not known yet.</param>
    public static SampleDraw? DrawOf(Sequence sequence, int ahead = 0) =>
        sequence.TopLogprobs is null && (sequence.Constraint?.IsFree(ahead) ?? true) && sequence.MaskedTokens.IsEmpty
            && !sequence.ScoresPrompt
            ? SampleDraw.Of(sequence.Sampling, sequence.OutputCount + ahead)
            : null;

    /// <summary>
    /// The log-probabilities of a token that is known already, and of <paramref name="count"/> alternatives. Throws
    /// <see cref="KreweException"/> (EngineFault) when the logits are no numbers.
    /// </summary>
    public TokenLogprobs Score(ReadOnlySpan<float> logits, int token, int count)
    {
        try
        {
            return Logprobs(logits, token, count);
        }
        catch (InvalidLogitsException e)
        {
            throw new KreweException(ErrorCode.EngineFault, e.Message, innerException: e);
        }
    }

    /// <summary>
    /// A request's parameters as settings. Throws <see cref="KreweException"/> (InvalidRequest) naming the wrong one.
    /// </summary>
    public static SamplerSettings Read(SamplingParameters parameters, int vocabularySize)
    {
        Demand(parameters.Temperature >= 0 && float.IsFinite(parameters.Temperature),
            "temperature", parameters.Temperature);
        Demand(parameters.TopP is > 0 and <= 1, "top_p", parameters.TopP);
        Demand(parameters.MinP is >= 0 and <= 1, "min_p", parameters.MinP);
        Demand(float.IsFinite(parameters.PresencePenalty), "presence_penalty", parameters.PresencePenalty);
        Demand(float.IsFinite(parameters.FrequencyPenalty), "frequency_penalty", parameters.FrequencyPenalty);
        Demand(parameters.RepetitionPenalty > 0 && float.IsFinite(parameters.RepetitionPenalty),
            "repetition_penalty", parameters.RepetitionPenalty);
        Demand(!parameters.HasTopLogprobs || parameters.TopLogprobs <= TopLogprobsMax,
            "top_logprobs", parameters.TopLogprobs);
        Demand(!parameters.HasPromptLogprobs || parameters.PromptLogprobs <= TopLogprobsMax,
            "prompt_logprobs", parameters.PromptLogprobs);
        foreach (var (token, bias) in parameters.LogitBias)
            Demand(token < vocabularySize && float.IsFinite(bias), $"logit_bias of token {token}", bias);
        return new SamplerSettings
        {
            Temperature = parameters.Temperature,
            TopP = parameters.TopP,
            TopK = parameters.TopK is 0 or > int.MaxValue ? null : (int)parameters.TopK,
            MinP = parameters.MinP,
            PresencePenalty = parameters.PresencePenalty,
            FrequencyPenalty = parameters.FrequencyPenalty,
            RepetitionPenalty = parameters.RepetitionPenalty,

            // The map has no order of its own; sums of floats do.
            LogitBias = [.. parameters.LogitBias.OrderBy(pair => pair.Key)
                .Select(pair => new LogitBias((int)pair.Key, pair.Value))],
            Seed = unchecked((long)parameters.Seed),
            Choice = (int)parameters.Choice,
        };
    }

    public void Dispose() => _sampler.Dispose();

    private static void Demand(bool condition, string name, double value)
    {
        if (!condition)
            throw new KreweException(ErrorCode.InvalidRequest, $"{name} is {value}, out of its range.", name);
    }

    private TokenLogprobs Logprobs(ReadOnlySpan<float> logits, int token, int count)
    {
        var result = new TokenLogprobs
        {
            Logprob = _sampler.LogProbability(logits, token),
            Rank = (uint)Sampler.Rank(logits, token),
        };
        if (count == 0) return result;
        count = Math.Min(count, logits.Length);
        var (tokens, values) = (new int[count], new float[count]);
        _sampler.TopLogProbabilities(logits, tokens, values);
        foreach (var top in tokens) result.TopTokens.Add((uint)top);
        result.TopLogprobs.Add(values);
        return result;
    }
}
