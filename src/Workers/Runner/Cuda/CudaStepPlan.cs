using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>A batch as the kernels take it: numbers in pinned memory, and the extents of the launches.</summary>
internal readonly record struct CudaStepPlan(
    int Rows, int Decodes, int PrefillItems, int LogitRows, int Draws, int Partitions)
{
    /// <summary>Every sequence computes one row: a step whose launches can be recorded.</summary>
    public bool IsDecode => PrefillItems == 0;

    /// <summary>Writes the batch's numbers to <paramref name="host"/>.</summary>
    /// <param name="group">Query heads of a KV head.</param>
    /// <param name="prefillQueries">Packed queries of one prefill item.</param>
    public static unsafe CudaStepPlan Write(StepBatch batch, in StepNumbers host, int group, int prefillQueries)
    {
        Copy(batch.Tokens, batch.RowCount, host.Tokens);
        Copy(batch.Positions, batch.RowCount, host.Positions);
        Copy(batch.SlotMapping, batch.RowCount, host.Slots);
        Copy(batch.LogitRows, batch.LogitRowCount, host.LogitRows);
        Copy(batch.BlockTables, batch.BlockTableCount, host.Tables);
        var (decodes, pieces, longest) = (0, 0, 1);
        var decode = (int*)host.Decodes;
        var prefill = (int*)host.Prefills;
        for (var i = 0; i < batch.SequenceCount; i++)
        {
            var sequence = batch.Sequences[i];
            var first = sequence.ContextTokens - sequence.RowCount;
            if (sequence.RowCount == 1)
            {
                (decode[0], decode[1], decode[2]) = (sequence.RowStart, first, sequence.BlockTableStart);
                decode += CudaKernels.DecodeItemInts;
                decodes++;
                longest = Math.Max(longest, sequence.ContextTokens);
                continue;
            }

            for (var query = 0; query < sequence.RowCount * group; query += prefillQueries)
            {
                (prefill[0], prefill[1], prefill[2]) = (sequence.RowStart, first, sequence.RowCount);
                (prefill[3], prefill[4]) = (sequence.BlockTableStart, query);
                prefill += CudaKernels.PrefillItemInts;
                pieces++;
            }
        }

        var draws = 0;
        for (var row = 0; row < batch.LogitRowCount; row++)
        {
            var draw = batch.DrawOf(row);
            if (draw is not null) draws++;
            // A row without one is drawn greedily and nobody looks.
            ((SampleDraw*)host.Draws)[row] = draw ?? default;
        }

        var counts = (int*)host.Counts;
        (counts[0], counts[1], counts[2], counts[3]) = (batch.RowCount, decodes, pieces, batch.LogitRowCount);
        return new CudaStepPlan(
            batch.RowCount, decodes, pieces, batch.LogitRowCount, draws,
            ((longest - 1) / CudaKernels.PartitionTokens) + 1);
    }

    /// <summary>The plan whose recorded launches serve this one: extents rounded up to powers of two.</summary>
    public CudaStepPlan Rounded() => new(
        RoundUp(Rows), RoundUp(Decodes), 0, LogitRows == 0 ? 0 : RoundUp(LogitRows), Draws == 0 ? 0 : 1,
        RoundUp(Partitions));

    private static int RoundUp(int count) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)count);

    private static unsafe void Copy(int[] source, int count, nint target) =>
        source.AsSpan(0, count).CopyTo(new Span<int>((void*)target, count));
}
