using Krewe.Control.Steps;

namespace Krewe.Control.Routing;

/// <summary>
/// Step times of one worker as routing predicts them, ms: six numbers, so that a decision over a thousand workers
/// stays in the microseconds. Prefill is linear in tokens and in attended (query, key) pairs, decode in sequences and
/// in context tokens: DistServe's fitted form (OSDI'24, appendix A; its c * sum(length^2) is 2c a pair).
/// </summary>
public readonly record struct StepCosts
{
    /// <summary>What every prefill step costs, however small.</summary>
    public double PrefillFixedMs { get; init; }

    /// <summary>Each token that is computed.</summary>
    public double PrefillTokenMs { get; init; }

    /// <summary>Each pair of a computed token and a token that it attends to.</summary>
    public double PrefillPairMs { get; init; }

    /// <summary>What every decode step costs: reading the weights.</summary>
    public double DecodeFixedMs { get; init; }

    /// <summary>Each sequence of the step.</summary>
    public double DecodeSequenceMs { get; init; }

    /// <summary>Each token of context that the step's sequences attend to.</summary>
    public double DecodeContextMs { get; init; }

    /// <summary>Nothing was measured: good for comparing workers, not for promising a client anything.</summary>
    public bool IsGuess { get; init; }

    /// <summary>Before anything is measured: the ratios of <see cref="StepTimeCoefficients.ColdStart"/>.</summary>
    public static StepCosts ColdStart { get; } = Of(StepTimeCoefficients.ColdStart) with { IsGuess = true };

    /// <summary>A learnt model in the six numbers; a decode's row is part of its sequence's cost.</summary>
    public static StepCosts Of(in StepTimeCoefficients learnt) => new()
    {
        PrefillFixedMs = learnt.StepMs,
        PrefillTokenMs = learnt.RowMs,
        PrefillPairMs = learnt.PairMs,
        DecodeFixedMs = learnt.StepMs,
        DecodeSequenceMs = learnt.RowMs + learnt.DecodeSequenceMs,
        DecodeContextMs = learnt.ContextTokenMs,
    };

    /// <summary>
    /// Time to compute <paramref name="tokens"/> tokens behind <paramref name="context"/> tokens whose KV is there, in
    /// steps of at most <paramref name="budget"/> tokens.
    /// </summary>
    public double PrefillMs(long tokens, long context, int budget)
    {
        if (tokens <= 0) return 0;
        var steps = (tokens + budget - 1) / budget;
        var pairs = tokens * (context + ((tokens + 1) * 0.5));
        return (steps * PrefillFixedMs) + (tokens * PrefillTokenMs) + (pairs * PrefillPairMs);
    }

    /// <summary>One decode step.</summary>
    public double DecodeMs(int sequences, long contextTokens) =>
        DecodeFixedMs + (sequences * DecodeSequenceMs) + (contextTokens * DecodeContextMs);
}
