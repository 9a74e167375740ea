namespace Krewe.Workers;

/// <summary>Rows of one sequence in a step: they are its tokens at positions ContextTokens - RowCount .. ContextTokens
/// - 1.</summary>
/// <param name="RowStart">First row of the sequence in the step.</param>
/// <param name="RowCount">Rows: 1 for a decode, the chunk's tokens for a prefill.</param>
/// <param name="ContextTokens">Tokens with KV after this step; the last row attends to all of them.</param>
/// <param name="BlockTableStart">Where the sequence's block ids begin in <see cref="StepBatch.BlockTables"/>.</param>
public readonly record struct SequenceRows(int RowStart, int RowCount, int ContextTokens, int BlockTableStart);

/// <summary>
/// Input and output of one engine step, a ragged batch, reused from step to step. Row r is one token. Arrays may be
/// longer than the counts say; they only ever grow, so that a steady state allocates nothing.
/// </summary>
public sealed partial class StepBatch
{
    public int RowCount { get; private set; }

    public int SequenceCount { get; private set; }

    public int LogitRowCount { get; private set; }

    /// <summary>[RowCount] token ids; ~i where <see cref="AddDrawn"/> left the token to the device.</summary>
    public int[] Tokens { get; private set; } = new int[64];

    /// <summary>[RowCount] positions in the sequence, from 0.</summary>
    public int[] Positions { get; private set; } = new int[64];

    /// <summary>[RowCount] where the row's K and V go: block * BlockTokens + offset.</summary>
    public int[] SlotMapping { get; private set; } = new int[64];

    /// <summary>[SequenceCount].</summary>
    public SequenceRows[] Sequences { get; private set; } = new SequenceRows[16];

    /// <summary>All sequences' block ids, flattened.</summary>
    public int[] BlockTables { get; private set; } = new int[64];

    public int BlockTableCount { get; private set; }

    /// <summary>[LogitRowCount] rows whose logits are wanted, ascending.</summary>
    public int[] LogitRows { get; private set; } = new int[16];

    /// <summary>Told of each layer whose K and V are stored; a runner may leave it out.</summary>
    public ILayerObserver? Observer { get; set; }

    /// <summary>
    /// Holds the runner up before a layer's attention while blocks that it reads are still being restored; null when
    /// all are there.
    /// </summary>
    public ILayerGate? Gate { get; set; }

    /// <summary>Output, [LogitRowCount x VocabularySize], row-major; the runner grows it.</summary>
    public float[] Logits { get; private set; } = [];

    /// <summary>Makes room for so many block ids at once: growing sequences then never grow the array.</summary>
    public void ReserveBlockTables(int blocks) => BlockTables = Grown(BlockTables, blocks);

    public void Clear()
    {
        RowCount = SequenceCount = LogitRowCount = BlockTableCount = 0;
        Gate = null;
        _drawCount = 0;
    }

    /// <summary>
    /// Adds the rows of one sequence: <paramref name="tokens"/> at positions <paramref name="firstPosition"/> and up.
    /// Returns the index of its logit row in <see cref="Logits"/>, or null when no logits are wanted.
    /// </summary>
    public int? Add(
        ReadOnlySpan<int> tokens, int firstPosition, ReadOnlySpan<int> blockTable, int blockTokens, bool wantLogits)
    {
        var first = Add(tokens, firstPosition, blockTable, blockTokens, wantLogits ? 1 : 0);
        return wantLogits ? first : null;
    }

    /// <summary>
    /// The same with the logits of the last <paramref name="logitRows"/> rows; returns the index of the first of them
    /// in <see cref="Logits"/>.
    /// </summary>
    public int Add(
        ReadOnlySpan<int> tokens, int firstPosition, ReadOnlySpan<int> blockTable, int blockTokens, int logitRows)
    {
        var context = firstPosition + tokens.Length;
        Tokens = Grown(Tokens, RowCount + tokens.Length);
        Positions = Grown(Positions, RowCount + tokens.Length);
        SlotMapping = Grown(SlotMapping, RowCount + tokens.Length);
        BlockTables = Grown(BlockTables, BlockTableCount + blockTable.Length);
        Sequences = Grown(Sequences, SequenceCount + 1);
        tokens.CopyTo(Tokens.AsSpan(RowCount));
        blockTable.CopyTo(BlockTables.AsSpan(BlockTableCount));
        for (var i = 0; i < tokens.Length; i++)
        {
            var position = firstPosition + i;
            Positions[RowCount + i] = position;
            SlotMapping[RowCount + i] =
                (blockTable[position / blockTokens] * blockTokens) + (position % blockTokens);
        }

        Sequences[SequenceCount++] = new SequenceRows(RowCount, tokens.Length, context, BlockTableCount);
        RowCount += tokens.Length;
        BlockTableCount += blockTable.Length;
        LogitRows = Grown(LogitRows, LogitRowCount + logitRows);
        var first = LogitRowCount;
        for (var row = RowCount - logitRows; row < RowCount; row++) LogitRows[LogitRowCount++] = row;
        return first;
    }

    /// <summary>
    /// Adds one row whose token is the one that the step queued before this one draws for its logit row
    /// <paramref name="drawnRow"/>. Returns the index of its own logit row. For an <see cref="IAheadRunner"/>.
    /// </summary>
    public int AddDrawn(int drawnRow, int position, ReadOnlySpan<int> blockTable, int blockTokens) =>
        Add([~drawnRow], position, blockTable, blockTokens, logitRows: 1);

    /// <summary>Makes room for the logits of this step; called by the runner.</summary>
    public Span<float> ReserveLogits(int vocabularySize)
    {
        if (Logits.Length < LogitRowCount * vocabularySize) Logits = new float[LogitRowCount * vocabularySize];
        return Logits.AsSpan(0, LogitRowCount * vocabularySize);
    }

    private static T[] Grown<T>(T[] array, int needed)
    {
        if (array.Length < needed) Array.Resize(ref array, Math.Max(needed, 2 * array.Length));
        return array;
    }
}
