namespace Krewe.Workers;

/// <summary>Consecutive rows of one sequence and the query heads that share a KV head: one call of the
/// kernel.</summary>
/// <param name="QueryRow">First row in the queries' buffer.</param>
/// <param name="OutputRow">First row in the results' buffer.</param>
/// <param name="Rows">How many.</param>
/// <param name="FirstHead">First query head.</param>
/// <param name="Heads">How many.</param>
/// <param name="FirstPosition">Position of the first row.</param>
/// <param name="BlockTableStart">Where the sequence's block ids begin.</param>
internal readonly record struct AttentionPiece(
    int QueryRow, int OutputRow, int Rows, int FirstHead, int Heads, int FirstPosition, int BlockTableStart);

/// <summary>
/// A step's attention cut into pieces of at most 16 (row, head) pairs, and the pieces dealt to threads in contiguous
/// runs of about equal cost. Where the cuts fall moves no bit: the kernel's order depends on positions alone.
/// </summary>
internal sealed class AttentionPlan(int heads, int kvHeads, int threads)
{
    private const int MaxQueries = Kernels.AttentionWork.MaxQueries;

    private readonly int _group = heads / kvHeads;
    private readonly int[] _starts = new int[threads + 1];
    private AttentionPiece[] _pieces = new AttentionPiece[64];
    private long[] _costs = new long[64];
    private int _count;

    /// <summary>The pieces of one thread.</summary>
    public ReadOnlySpan<AttentionPiece> Of(int thread) =>
        _pieces.AsSpan(_starts[thread], _starts[thread + 1] - _starts[thread]);

    /// <summary>Every row of the step attends.</summary>
    public void PlanAll(StepBatch batch)
    {
        _count = 0;
        for (var i = 0; i < batch.SequenceCount; i++)
        {
            var sequence = batch.Sequences[i];
            Cut(sequence, sequence.RowStart, sequence.RowStart, sequence.RowCount);
        }

        Deal();
    }

    /// <summary>Only rows whose logits are wanted attend; their results are packed at the front.</summary>
    public void PlanLogitRows(StepBatch batch)
    {
        _count = 0;
        var owner = 0;
        for (var i = 0; i < batch.LogitRowCount; i++)
        {
            var row = batch.LogitRows[i];
            while (row >= batch.Sequences[owner].RowStart + batch.Sequences[owner].RowCount) owner++;
            Cut(batch.Sequences[owner], row, i, rows: 1);
        }

        Deal();
    }

    private void Cut(in SequenceRows sequence, int queryRow, int outputRow, int rows)
    {
        var position = sequence.ContextTokens - sequence.RowCount + (queryRow - sequence.RowStart);
        var pieceRows = Math.Max(1, MaxQueries / _group);
        for (var kvHead = 0; kvHead < kvHeads; kvHead++)
        {
            for (var head = 0; head < _group; head += MaxQueries)
            {
                for (var row = 0; row < rows; row += pieceRows)
                {
                    Add(new AttentionPiece(
                        queryRow + row, outputRow + row, Math.Min(pieceRows, rows - row), (kvHead * _group) + head,
                        Math.Min(MaxQueries, _group - head), position + row, sequence.BlockTableStart));
                }
            }
        }
    }

    private void Add(AttentionPiece piece)
    {
        if (_count == _pieces.Length)
        {
            Array.Resize(ref _pieces, 2 * _count);
            Array.Resize(ref _costs, 2 * _count);
        }

        _pieces[_count] = piece;
        // The walk over positions dominates; the constant stands for setting it up.
        _costs[_count] = piece.FirstPosition + piece.Rows + 64;
        _count++;
    }

    private void Deal()
    {
        var total = 0L;
        for (var i = 0; i < _count; i++)
            total += _costs[i];
        var (piece, dealt) = (0, 0L);
        for (var thread = 0; thread < threads; thread++)
        {
            _starts[thread] = piece;
            var share = total * (thread + 1) / threads;
            while (piece < _count && dealt < share) dealt += _costs[piece++];
        }

        _starts[threads] = _count;
    }
}
