namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Reads a whole answer from its beginning: the deltas of its sequences in turn, one of each that is not over. Their
/// order does not depend on which sequence is faster, so that every reader of an answer sees the same stream.
/// </summary>
internal sealed class AnswerReader(AnswerRun run, IReadOnlyList<SequenceReader> sequences)
{
    private int _turn;

    /// <summary>What was used by everything that was read so far.</summary>
    public AnswerUsage Usage => run.UsageOf(
        run.Request.HidesOutput ? 0 : sequences.Sum(reader => reader.OutputTokens),
        sequences.Sum(reader => reader.ReasoningTokens));

    /// <summary>True when <see cref="NextAsync"/> needs not wait.</summary>
    public bool HasNext
    {
        get
        {
            SkipEnded();
            return sequences[_turn].IsOver || sequences[_turn].HasNext;
        }
    }

    /// <summary>
    /// Waits for the next delta; null when every sequence is over. Throws when the request
    /// failed, after everything before the error was given.
    /// </summary>
    public async ValueTask<(int Sequence, AnswerDelta Delta)?> NextAsync(CancellationToken cancellationToken)
    {
        SkipEnded();
        var sequence = _turn;
        if (sequences[sequence].IsOver) return null;
        if (!sequences[sequence].HasNext) await sequences[sequence].FillAsync(cancellationToken);
        var delta = sequences[sequence].Take();
        _turn = (sequence + 1) % sequences.Count;
        return (sequence, delta);
    }

    /// <summary>To the next sequence that is not over; stays when all are.</summary>
    private void SkipEnded()
    {
        for (var i = 0; i < sequences.Count && sequences[_turn].IsOver; i++) _turn = (_turn + 1) % sequences.Count;
    }
}
