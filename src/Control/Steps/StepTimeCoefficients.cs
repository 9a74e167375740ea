namespace Krewe.Control.Steps;

/// <summary>
/// A step's milliseconds as a sum over its <see cref="StepWork"/>; no coefficient is negative. The form is DistServe's
/// (OSDI'24, appendix A) with both phases in one step: prefill a + b Σlen + c Σlen², decode a + b Σcontext + c batch.
/// </summary>
public readonly record struct StepTimeCoefficients
{
    /// <summary>Each step: reading the weights, starting the threads.</summary>
    public required double StepMs { get; init; }

    /// <summary>Each row: the products with the weights.</summary>
    public required double RowMs { get; init; }

    /// <summary>Each decoding sequence: logits and sampling.</summary>
    public required double DecodeSequenceMs { get; init; }

    /// <summary>Each token of a decode's context: reading its K and V.</summary>
    public required double ContextTokenMs { get; init; }

    /// <summary>Each (query, key) pair of a prefill chunk.</summary>
    public required double PairMs { get; init; }

    /// <summary>
    /// Before anything was measured. Only the ratios matter (the first measured step sets the scale): a step costs as
    /// much as some 16 rows, as on machines that read a weight in the time of 16 to 32 multiplications with it.
    /// </summary>
    public static StepTimeCoefficients ColdStart { get; } = new()
    {
        StepMs = 16,
        RowMs = 1,
        DecodeSequenceMs = 0.25,
        ContextTokenMs = 1e-3,
        PairMs = 2e-4,
    };

    public double Milliseconds(in StepWork work) =>
        StepMs + (RowMs * work.Rows) + (DecodeSequenceMs * work.DecodeSequences)
        + (ContextTokenMs * work.DecodeContextTokens) + (PairMs * work.PrefillPairs);

    /// <summary>Time to prefill a prompt from <paramref name="computedTokens"/> on in steps of its own.</summary>
    /// <param name="chunkTokens">Most rows of a step.</param>
    public double PrefillMs(int computedTokens, int rows, int chunkTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(chunkTokens, 1);
        var steps = (rows + chunkTokens - 1) / chunkTokens;
        return (StepMs * steps) + (RowMs * rows) + (PairMs * StepWork.Pairs(computedTokens, rows));
    }

    /// <summary>
    /// The longest prefill chunk, at most <paramref name="rowsMax"/>, that beside <paramref name="work"/> leaves the
    /// step within <paramref name="milliseconds"/>; 0 when none does.
    /// </summary>
    /// <remarks>
    /// n rows cost (RowMs + PairMs (computed + 1/2)) n + PairMs/2 n²: the positive root, in the form that does not
    /// subtract nearly equal numbers.
    /// </remarks>
    public int RowsWithin(double milliseconds, in StepWork work, int computedTokens, int rowsMax)
    {
        var left = milliseconds - Milliseconds(work);
        if (!(left > 0)) return 0;
        var linear = RowMs + (PairMs * (computedTokens + 0.5));
        var root = 2 * left / (linear + Math.Sqrt((linear * linear) + (2 * PairMs * left)));
        return root < rowsMax ? (int)root : rowsMax;
    }

    /// <summary>
    /// L_m: rows at which a step reaches <paramref name="share"/> of the tokens a second that endless rows would give.
    /// From n / (StepMs + RowMs n) = share / RowMs. Prompts that are shorter are worth batching up to it (DistServe
    /// section 4.3), and beyond it batching only makes each of them later. Null when rows are free.
    /// </summary>
    public int? SaturatingRows(double share)
    {
        if (RowMs <= 0) return null;
        return (int)Math.Clamp(share / (1 - share) * StepMs / RowMs, 1, int.MaxValue);
    }
}
