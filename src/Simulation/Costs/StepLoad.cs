namespace Krewe.Simulation;

/// <summary>
/// What one step computes, summed over its sequences. Kept as sums, so that a step's cost takes constant time however
/// many sequences decode in it.
/// </summary>
public struct StepLoad
{
    /// <summary>Rows of prefill chunks.</summary>
    public int PrefillTokens { get; private set; }

    /// <summary>Chunks.</summary>
    public int PrefillSequences { get; private set; }

    /// <summary>Sum of squares of the chunks' lengths, as DistServe's fit wants it.</summary>
    public double PrefillSquares { get; private set; }

    /// <summary>Seconds of prefill attention in one layer, added up by the cost model chunk by chunk.</summary>
    public double PrefillAttentionSeconds { get; private set; }

    /// <summary>KV tokens that prefill chunks read: each chunk's past and its own.</summary>
    public long PrefillContextTokens { get; private set; }

    public int DecodeSequences { get; private set; }

    /// <summary>KV tokens that the decodes read.</summary>
    public long DecodeContextTokens { get; private set; }

    /// <summary>Rows that need logits: decodes and finished prefills.</summary>
    public int LogitRows { get; set; }

    /// <summary>Rows of the step.</summary>
    public readonly int Tokens => PrefillTokens + DecodeSequences;

    /// <summary>Rows over a past of KV tokens.</summary>
    public void AddPrefill(int rows, int past, double attentionSeconds)
    {
        PrefillSequences++;
        PrefillTokens += rows;
        PrefillSquares += (double)rows * rows;
        PrefillContextTokens += past + rows;
        PrefillAttentionSeconds += attentionSeconds;
    }

    /// <summary>One row whose attention reads <paramref name="context"/> KV tokens.</summary>
    public void AddDecode(int context) => AddDecodes(1, context);

    /// <summary>So many rows whose attention reads <paramref name="context"/> KV tokens together.</summary>
    public void AddDecodes(int rows, long context)
    {
        DecodeSequences += rows;
        DecodeContextTokens += context;
        LogitRows += rows;
    }
}
