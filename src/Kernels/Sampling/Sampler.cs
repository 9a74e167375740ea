using System.Numerics;

namespace Krewe.Kernels;

/// <summary>
/// Draws tokens. The choice is a function of the logits, the settings, the tokens so far and the position: no state is
/// carried from call to call, so any worker can go on at any token. One object serves one engine thread; it allocates
/// only at birth.
/// </summary>
/// <remarks>
/// Order: bias, forbidden tokens, repetition, presence and frequency penalties, temperature, then min_p and top_k, then
/// top_p over what they left. Ties go to the lower token id.
/// </remarks>
public sealed unsafe class Sampler : IDisposable
{
    /// <summary>Marks a count whose token has had its repetition penalty.</summary>
    private const int Repeated = 1 << 30;

    private readonly NativeArray<float> _logits;
    private readonly NativeArray<float> _weights;
    private readonly int[] _counts;
    private readonly Shortlist _shortlist;

    public Sampler(int vocabularySize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(vocabularySize);
        VocabularySize = vocabularySize;
        _logits = new NativeArray<float>(PaddedSize);
        _weights = new NativeArray<float>(PaddedSize);
        _counts = new int[vocabularySize];
        _shortlist = new Shortlist(vocabularySize);
        new Span<float>(_logits.Data, PaddedSize).Fill(float.NegativeInfinity);
    }

    public int VocabularySize { get; }

    private int PaddedSize => (VocabularySize + LaneMath.SumLanes - 1) / LaneMath.SumLanes * LaneMath.SumLanes;

    private Span<float> Logits => new(_logits.Data, VocabularySize);

    private ReadOnlySpan<float> Weights => new(_weights.Data, VocabularySize);

    /// <summary>Chooses the token of output index <paramref name="position"/>.</summary>
    /// <param name="logits">[VocabularySize].</param>
    /// <param name="settings">The sequence's own.</param>
    /// <param name="position">Index of the token in the stream's output, from 0.</param>
    /// <param name="prompt">Tokens before the output; read for the repetition penalty.</param>
    /// <param name="output">Tokens before this one; read for the penalties.</param>
    /// <param name="forbidden">Tokens that may not be chosen (stop tokens before the minimum length).</param>
    /// <param name="allowed">One bit a token, lowest first; a token whose bit is 0 may not be chosen. Empty = every one
    /// may.</param>
    /// <exception cref="InvalidLogitsException">No token can be drawn from these logits.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A token id is not below <see cref="VocabularySize"/>.</exception>
    public int Sample(
        ReadOnlySpan<float> logits, SamplerSettings settings, int position, ReadOnlySpan<int> prompt,
        ReadOnlySpan<int> output, ReadOnlySpan<int> forbidden, ReadOnlySpan<ulong> allowed = default)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (logits.Length != VocabularySize)
            throw new ArgumentException(
                $"{logits.Length} logits, the vocabulary has {VocabularySize}.", nameof(logits));
        if (settings.IsGreedy && settings.LogitBias.Count == 0 && forbidden.IsEmpty && allowed.IsEmpty
            && !settings.HasPenalties)
            return LogitScan.ArgMax(logits);

        logits.CopyTo(Logits);
        Bias(settings.LogitBias);
        Forbid(forbidden);
        if (!allowed.IsEmpty) ForbidUnless(allowed);
        if (settings.HasPenalties) Penalize(settings, prompt, output);

        var best = LogitScan.ArgMax(Logits);
        if (settings.IsGreedy) return best;
        CpuKernels.Best.SoftmaxWeights(_logits.Data, PaddedSize, Logits[best], settings.Temperature, _weights.Data);
        var uniform = Philox.Uniform(settings.Seed, settings.Choice, position);
        return settings.TopK < VocabularySize || settings.TopP < 1 || settings.MinP > 0
            ? _shortlist.Draw(Logits, Weights, settings, Logits[best], uniform)
            : Draw(uniform);
    }

    /// <summary>Natural logarithm of a token's probability under softmax(logits), no settings applied.</summary>
    /// <exception cref="InvalidLogitsException">The logits have no softmax.</exception>
    public float LogProbability(ReadOnlySpan<float> logits, int token) => logits[token] - LogSumExp(logits);

    /// <summary>The most probable tokens, best first, and the logarithms of their probabilities; as many as the spans
    /// hold.</summary>
    /// <exception cref="InvalidLogitsException">The logits have no softmax.</exception>
    public void TopLogProbabilities(ReadOnlySpan<float> logits, Span<int> tokens, Span<float> logProbabilities)
    {
        LogitScan.Top(logits, tokens, logProbabilities);
        var logSumExp = LogSumExp(logits);
        foreach (ref var value in logProbabilities)
            value -= logSumExp;
    }

    /// <summary>1 + the number of tokens with a larger logit than this one.</summary>
    public static int Rank(ReadOnlySpan<float> logits, int token) => LogitScan.CountAbove(logits, logits[token]) + 1;

    public void Dispose()
    {
        _logits.Dispose();
        _weights.Dispose();
    }

    private float LogSumExp(ReadOnlySpan<float> logits)
    {
        var maximum = logits[LogitScan.ArgMax(logits)];
        logits.CopyTo(Logits);
        CpuKernels.Best.SoftmaxWeights(_logits.Data, PaddedSize, maximum, temperature: 1, _weights.Data);
        return maximum + (float)Math.Log(TotalWeight());
    }

    private void Bias(IReadOnlyList<LogitBias> biases)
    {
        for (var i = 0; i < biases.Count; i++)
        {
            DemandTokens([biases[i].Token]);
            Logits[biases[i].Token] += biases[i].Value;
        }
    }

    private void Forbid(ReadOnlySpan<int> tokens)
    {
        DemandTokens(tokens);
        foreach (var token in tokens)
            Logits[token] = float.NegativeInfinity;
    }

    private void ForbidUnless(ReadOnlySpan<ulong> allowed)
    {
        const int WordBits = 64;
        if (allowed.Length * WordBits < VocabularySize)
            throw new ArgumentException($"{allowed.Length} words of 64 do not cover {VocabularySize} tokens.");
        for (var first = 0; first < VocabularySize; first += WordBits)
        {
            var tokens = Logits[first..Math.Min(first + WordBits, VocabularySize)];
            var forbidden = ~allowed[first / WordBits];
            if (forbidden == ulong.MaxValue) tokens.Fill(float.NegativeInfinity);
            else ForbidIn(tokens, forbidden);
        }
    }

    private static void ForbidIn(Span<float> tokens, ulong forbidden)
    {
        for (; forbidden != 0; forbidden &= forbidden - 1)
        {
            var token = BitOperations.TrailingZeroCount(forbidden);
            if (token >= tokens.Length) return;
            tokens[token] = float.NegativeInfinity;
        }
    }

    private void Penalize(SamplerSettings settings, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        DemandTokens(prompt);
        DemandTokens(output);
        foreach (var token in output)
            _counts[token]++;
        if (settings.RepetitionPenalty != 1)
        {
            PenalizeRepetition(settings.RepetitionPenalty, prompt);
            PenalizeRepetition(settings.RepetitionPenalty, output);
        }

        foreach (var token in output)
        {
            var count = _counts[token] & ~Repeated;
            if (count > 0) Logits[token] -= settings.PresencePenalty + (settings.FrequencyPenalty * count);
            _counts[token] = 0;
        }

        foreach (var token in prompt)
            _counts[token] = 0;
    }

    /// <summary>Makes each token less likely once, however often it stands in prompt and output.</summary>
    private void PenalizeRepetition(float penalty, ReadOnlySpan<int> tokens)
    {
        foreach (var token in tokens)
        {
            if ((_counts[token] & Repeated) != 0) continue;
            _counts[token] |= Repeated;
            ref var logit = ref Logits[token];
            logit = logit > 0 ? logit / penalty : logit * penalty;
        }
    }

    private void DemandTokens(ReadOnlySpan<int> tokens)
    {
        var wrong = tokens.IndexOfAnyExceptInRange(0, VocabularySize - 1);
        if (wrong >= 0)
            throw new ArgumentOutOfRangeException(
                nameof(tokens), tokens[wrong], $"No such token: the vocabulary has {VocabularySize}, from 0.");
    }

    private double TotalWeight()
    {
        var total = 0.0;
        foreach (var weight in Weights)
            total += weight;
        return total;
    }

    /// <summary>Walks the tokens in id order to where the sum of weights passes the drawn share of the total.</summary>
    private int Draw(double uniform)
    {
        var remaining = uniform * TotalWeight();
        var last = 0;
        for (var token = 0; token < VocabularySize; token++)
        {
            var weight = Weights[token];
            if (weight == 0) continue;
            remaining -= weight;
            last = token;
            if (remaining < 0) break;
        }

        return last;
    }
}
