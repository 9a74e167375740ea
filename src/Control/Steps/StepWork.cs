namespace Krewe.Control.Steps;

/// <summary>
/// What a step has to do, in the quantities that its time depends on. Adding sequences never takes work away, so a time
/// that is linear in it with non-negative coefficients grows with every sequence.
/// </summary>
public readonly record struct StepWork
{
    /// <summary>Tokens computed, of prefills and decodes.</summary>
    public int Rows { get; init; }

    /// <summary>Sequences that decode: one row each, sampled.</summary>
    public int DecodeSequences { get; init; }

    /// <summary>Tokens whose KV the decodes read, summed over them.</summary>
    public long DecodeContextTokens { get; init; }

    /// <summary>(query, key) pairs of the prefills' attention: the term that is quadratic in the prompt.</summary>
    public long PrefillPairs { get; init; }

    /// <summary>One more decode; its row attends to <paramref name="contextTokens"/> tokens, itself included.</summary>
    public StepWork WithDecode(int contextTokens) => this with
    {
        Rows = Rows + 1,
        DecodeSequences = DecodeSequences + 1,
        DecodeContextTokens = DecodeContextTokens + contextTokens,
    };

    /// <summary>One more prefill chunk: rows at positions computedTokens .. computedTokens + rows - 1.</summary>
    public StepWork WithPrefill(int computedTokens, int rows) => this with
    {
        Rows = Rows + rows,
        PrefillPairs = PrefillPairs + Pairs(computedTokens, rows),
    };

    /// <summary>Row i (from 1) of a chunk attends to the tokens before the chunk and i of its own.</summary>
    public static long Pairs(int computedTokens, int rows) =>
        ((long)rows * computedTokens) + ((long)rows * (rows + 1) / 2);
}
