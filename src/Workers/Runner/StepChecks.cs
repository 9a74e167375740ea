using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// What a batch must satisfy before raw pointers follow its numbers. The engine never breaks it; a batch that does
/// would otherwise read or overwrite another sequence's memory.
/// </summary>
internal static class StepChecks
{
    /// <param name="drawn">Tokens of the step before that rows of this one may stand for.</param>
    /// <exception cref="KreweException">A token, position, slot or block id is out of range.</exception>
    public static void Demand(
        StepBatch batch, int vocabularySize, int maxContextTokens, IKvArena arena, int drawn = 0)
    {
        ArgumentNullException.ThrowIfNull(batch);
        DemandRange(batch.Tokens.AsSpan(0, batch.RowCount), vocabularySize, "token id", "the vocabulary size", -drawn);
        DemandRange(batch.Positions.AsSpan(0, batch.RowCount), maxContextTokens, "position", "the model's context");
        DemandRange(
            batch.BlockTables.AsSpan(0, batch.BlockTableCount), arena.BlockCount, "block id", "the arena's blocks");
        DemandRange(
            batch.SlotMapping.AsSpan(0, batch.RowCount), (long)arena.BlockCount * arena.Geometry.BlockTokens, "slot",
            "the arena's slots");
        DemandRange(batch.LogitRows.AsSpan(0, batch.LogitRowCount), batch.RowCount, "logit row", "the step's rows");
        for (var i = 0; i < batch.SequenceCount; i++)
        {
            var sequence = batch.Sequences[i];
            var end = sequence.BlockTableStart + arena.Geometry.BlocksFor(sequence.ContextTokens);
            if (end > batch.BlockTableCount)
                throw new KreweException(
                    ErrorCode.EngineFault, $"A sequence of {sequence.ContextTokens} tokens has too few block ids.");
        }
    }

    private static void DemandRange(
        ReadOnlySpan<int> values, long limit, string what, string limitIs, int lowest = 0)
    {
        var wrong = values.IndexOfAnyExceptInRange(lowest, (int)Math.Min(limit - 1, int.MaxValue));
        if (wrong >= 0)
            throw new KreweException(
                ErrorCode.EngineFault,
                $"The {what} {values[wrong]} is not from {lowest} to below {limitIs} ({limit}).");
    }
}
