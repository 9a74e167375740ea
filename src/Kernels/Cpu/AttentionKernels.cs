using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// The two products of attention for up to 8 queries over one tile: scores = queries x keys, a chain over dims with
/// lanes over slots; outputs += weights x values, a chain over slots with lanes over dims. Two vectors at a time;
/// kernels for 4 and for 8 queries, the unused ones computed and dropped.
/// </summary>
internal static unsafe class AttentionKernels<TOps, TV, TK>
    where TOps : ILanes<TV>
    where TV : struct
    where TK : IKvLanes<TV>
{
    /// <summary>Scores of all queries at the positions of <paramref name="range"/>, widened to whole vectors.</summary>
    public static void Score(
        in AttentionWork work, in AttentionScratch scratch, int queries, VisibleRange range, int tile)
    {
        var dims = work.Geometry.HeadDim;
        for (var position = range.Low / TOps.Count * TOps.Count; position < range.High; position += 2 * TOps.Count)
        {
            // The last vector of an odd number goes through both places; the same scores are stored twice.
            var second = position + TOps.Count < range.High ? position + TOps.Count : position;
            var step = (nint)work.Geometry.BlockTokens * TK.ElementBytes;
            var keys = new ScoreKeys(Key(work, position), Key(work, second), step);
            var low = scratch.Scores(0) + (position - tile);
            var high = scratch.Scores(0) + (second - tile);
            if (queries <= 4)
                ScoreFour(scratch.Query(0), dims, scratch.Dims, keys, low, high);
            else
                ScoreEight(scratch.Query(0), dims, scratch.Dims, keys, low, high);
        }
    }

    /// <summary>Rescales the outputs of some queries and adds the weighted values of <paramref name="seen"/>.</summary>
    public static void AddValues(
        in AttentionWork work, in AttentionScratch scratch, int firstQuery, int queries, VisibleRange seen, int tile)
    {
        var weights = scratch.Scores(firstQuery) + (seen.Low - tile);
        var rescale = scratch.Rescale(firstQuery);
        for (var dim = 0; dim < work.Geometry.HeadDim; dim += 2 * TOps.Count)
        {
            var output = scratch.Output(firstQuery) + dim;
            if (queries <= 4)
                AddValuesFour(work, output, scratch.Dims, rescale, weights, queries, seen, dim);
            else
                AddValuesEight(work, output, scratch.Dims, rescale, weights, queries, seen, dim);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreFour(float* queries, nint dims, nint queryStride, ScoreKeys keys, float* low, float* high)
    {
        var k0 = keys.First;
        var k1 = keys.Second;
        var q0 = queries;
        var q1 = q0 + queryStride;
        var q2 = q1 + queryStride;
        var q3 = q2 + queryStride;
        var (c0, d0) = (TOps.Zero, TOps.Zero);
        var (c1, d1) = (TOps.Zero, TOps.Zero);
        var (c2, d2) = (TOps.Zero, TOps.Zero);
        var (c3, d3) = (TOps.Zero, TOps.Zero);
        for (nint dim = 0; dim < dims; dim++)
        {
            var left = TK.Load(k0);
            var right = TK.Load(k1);
            var q = TOps.Broadcast(q0[dim]);
            c0 = TOps.FusedMultiplyAdd(q, left, c0);
            d0 = TOps.FusedMultiplyAdd(q, right, d0);
            q = TOps.Broadcast(q1[dim]);
            c1 = TOps.FusedMultiplyAdd(q, left, c1);
            d1 = TOps.FusedMultiplyAdd(q, right, d1);
            q = TOps.Broadcast(q2[dim]);
            c2 = TOps.FusedMultiplyAdd(q, left, c2);
            d2 = TOps.FusedMultiplyAdd(q, right, d2);
            q = TOps.Broadcast(q3[dim]);
            c3 = TOps.FusedMultiplyAdd(q, left, c3);
            d3 = TOps.FusedMultiplyAdd(q, right, d3);
            k0 += keys.Step;
            k1 += keys.Step;
        }

        TOps.Store(c0, low);
        TOps.Store(d0, high);
        TOps.Store(c1, low + AttentionScratch.TileTokens);
        TOps.Store(d1, high + AttentionScratch.TileTokens);
        TOps.Store(c2, low + (2 * AttentionScratch.TileTokens));
        TOps.Store(d2, high + (2 * AttentionScratch.TileTokens));
        TOps.Store(c3, low + (3 * AttentionScratch.TileTokens));
        TOps.Store(d3, high + (3 * AttentionScratch.TileTokens));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreEight(float* queries, nint dims, nint queryStride, ScoreKeys keys, float* low, float* high)
    {
        var k0 = keys.First;
        var k1 = keys.Second;
        var q0 = queries;
        var q1 = q0 + queryStride;
        var q2 = q1 + queryStride;
        var q3 = q2 + queryStride;
        var q4 = q3 + queryStride;
        var q5 = q4 + queryStride;
        var q6 = q5 + queryStride;
        var q7 = q6 + queryStride;
        var (c0, d0) = (TOps.Zero, TOps.Zero);
        var (c1, d1) = (TOps.Zero, TOps.Zero);
        var (c2, d2) = (TOps.Zero, TOps.Zero);
        var (c3, d3) = (TOps.Zero, TOps.Zero);
        var (c4, d4) = (TOps.Zero, TOps.Zero);
        var (c5, d5) = (TOps.Zero, TOps.Zero);
        var (c6, d6) = (TOps.Zero, TOps.Zero);
        var (c7, d7) = (TOps.Zero, TOps.Zero);
        for (nint dim = 0; dim < dims; dim++)
        {
            var left = TK.Load(k0);
            var right = TK.Load(k1);
            var q = TOps.Broadcast(q0[dim]);
            c0 = TOps.FusedMultiplyAdd(q, left, c0);
            d0 = TOps.FusedMultiplyAdd(q, right, d0);
            q = TOps.Broadcast(q1[dim]);
            c1 = TOps.FusedMultiplyAdd(q, left, c1);
            d1 = TOps.FusedMultiplyAdd(q, right, d1);
            q = TOps.Broadcast(q2[dim]);
            c2 = TOps.FusedMultiplyAdd(q, left, c2);
            d2 = TOps.FusedMultiplyAdd(q, right, d2);
            q = TOps.Broadcast(q3[dim]);
            c3 = TOps.FusedMultiplyAdd(q, left, c3);
            d3 = TOps.FusedMultiplyAdd(q, right, d3);
            q = TOps.Broadcast(q4[dim]);
            c4 = TOps.FusedMultiplyAdd(q, left, c4);
            d4 = TOps.FusedMultiplyAdd(q, right, d4);
            q = TOps.Broadcast(q5[dim]);
            c5 = TOps.FusedMultiplyAdd(q, left, c5);
            d5 = TOps.FusedMultiplyAdd(q, right, d5);
            q = TOps.Broadcast(q6[dim]);
            c6 = TOps.FusedMultiplyAdd(q, left, c6);
            d6 = TOps.FusedMultiplyAdd(q, right, d6);
            q = TOps.Broadcast(q7[dim]);
            c7 = TOps.FusedMultiplyAdd(q, left, c7);
            d7 = TOps.FusedMultiplyAdd(q, right, d7);
            k0 += keys.Step;
            k1 += keys.Step;
        }

        TOps.Store(c0, low);
        TOps.Store(d0, high);
        TOps.Store(c1, low + AttentionScratch.TileTokens);
        TOps.Store(d1, high + AttentionScratch.TileTokens);
        TOps.Store(c2, low + (2 * AttentionScratch.TileTokens));
        TOps.Store(d2, high + (2 * AttentionScratch.TileTokens));
        TOps.Store(c3, low + (3 * AttentionScratch.TileTokens));
        TOps.Store(d3, high + (3 * AttentionScratch.TileTokens));
        TOps.Store(c4, low + (4 * AttentionScratch.TileTokens));
        TOps.Store(d4, high + (4 * AttentionScratch.TileTokens));
        TOps.Store(c5, low + (5 * AttentionScratch.TileTokens));
        TOps.Store(d5, high + (5 * AttentionScratch.TileTokens));
        TOps.Store(c6, low + (6 * AttentionScratch.TileTokens));
        TOps.Store(d6, high + (6 * AttentionScratch.TileTokens));
        TOps.Store(c7, low + (7 * AttentionScratch.TileTokens));
        TOps.Store(d7, high + (7 * AttentionScratch.TileTokens));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddValuesFour(in AttentionWork work, float* output, nint outputStride, float* rescale,
        float* weights, int queries, VisibleRange seen, int dim)
    {
        const int tile = AttentionScratch.TileTokens;
        const int lanes = LaneMath.SumLanes;
        var (c0, d0) = Rescaled(output, rescale);
        var (c1, d1) = Rescaled(output + (1 * outputStride), rescale + lanes);
        var (c2, d2) = Rescaled(output + (2 * outputStride), rescale + (2 * lanes));
        var (c3, d3) = Rescaled(output + (3 * outputStride), rescale + (3 * lanes));
        for (var position = seen.Low; position < seen.High;)
        {
            var value = Value(work, position, dim);
            var step = (nint)work.Geometry.HeadDim * TK.ElementBytes;
            var end = EndOfBlock(work, position, seen.High);
            for (; position < end; position++)
            {
                var left = TK.Load(value);
                var right = TK.Load(value + (TOps.Count * TK.ElementBytes));
                var p = TOps.Broadcast(weights[0]);
                c0 = TOps.FusedMultiplyAdd(p, left, c0);
                d0 = TOps.FusedMultiplyAdd(p, right, d0);
                p = TOps.Broadcast(weights[tile]);
                c1 = TOps.FusedMultiplyAdd(p, left, c1);
                d1 = TOps.FusedMultiplyAdd(p, right, d1);
                p = TOps.Broadcast(weights[2 * tile]);
                c2 = TOps.FusedMultiplyAdd(p, left, c2);
                d2 = TOps.FusedMultiplyAdd(p, right, d2);
                p = TOps.Broadcast(weights[3 * tile]);
                c3 = TOps.FusedMultiplyAdd(p, left, c3);
                d3 = TOps.FusedMultiplyAdd(p, right, d3);
                weights++;
                value += step;
            }
        }

        if (queries > 0) Put(output, c0, d0);
        if (queries > 1) Put(output + (1 * outputStride), c1, d1);
        if (queries > 2) Put(output + (2 * outputStride), c2, d2);
        if (queries > 3) Put(output + (3 * outputStride), c3, d3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddValuesEight(in AttentionWork work, float* output, nint outputStride, float* rescale,
        float* weights, int queries, VisibleRange seen, int dim)
    {
        const int tile = AttentionScratch.TileTokens;
        const int lanes = LaneMath.SumLanes;
        var (c0, d0) = Rescaled(output, rescale);
        var (c1, d1) = Rescaled(output + (1 * outputStride), rescale + lanes);
        var (c2, d2) = Rescaled(output + (2 * outputStride), rescale + (2 * lanes));
        var (c3, d3) = Rescaled(output + (3 * outputStride), rescale + (3 * lanes));
        var (c4, d4) = Rescaled(output + (4 * outputStride), rescale + (4 * lanes));
        var (c5, d5) = Rescaled(output + (5 * outputStride), rescale + (5 * lanes));
        var (c6, d6) = Rescaled(output + (6 * outputStride), rescale + (6 * lanes));
        var (c7, d7) = Rescaled(output + (7 * outputStride), rescale + (7 * lanes));
        for (var position = seen.Low; position < seen.High;)
        {
            var value = Value(work, position, dim);
            var step = (nint)work.Geometry.HeadDim * TK.ElementBytes;
            var end = EndOfBlock(work, position, seen.High);
            for (; position < end; position++)
            {
                var left = TK.Load(value);
                var right = TK.Load(value + (TOps.Count * TK.ElementBytes));
                var p = TOps.Broadcast(weights[0]);
                c0 = TOps.FusedMultiplyAdd(p, left, c0);
                d0 = TOps.FusedMultiplyAdd(p, right, d0);
                p = TOps.Broadcast(weights[tile]);
                c1 = TOps.FusedMultiplyAdd(p, left, c1);
                d1 = TOps.FusedMultiplyAdd(p, right, d1);
                p = TOps.Broadcast(weights[2 * tile]);
                c2 = TOps.FusedMultiplyAdd(p, left, c2);
                d2 = TOps.FusedMultiplyAdd(p, right, d2);
                p = TOps.Broadcast(weights[3 * tile]);
                c3 = TOps.FusedMultiplyAdd(p, left, c3);
                d3 = TOps.FusedMultiplyAdd(p, right, d3);
                p = TOps.Broadcast(weights[4 * tile]);
                c4 = TOps.FusedMultiplyAdd(p, left, c4);
                d4 = TOps.FusedMultiplyAdd(p, right, d4);
                p = TOps.Broadcast(weights[5 * tile]);
                c5 = TOps.FusedMultiplyAdd(p, left, c5);
                d5 = TOps.FusedMultiplyAdd(p, right, d5);
                p = TOps.Broadcast(weights[6 * tile]);
                c6 = TOps.FusedMultiplyAdd(p, left, c6);
                d6 = TOps.FusedMultiplyAdd(p, right, d6);
                p = TOps.Broadcast(weights[7 * tile]);
                c7 = TOps.FusedMultiplyAdd(p, left, c7);
                d7 = TOps.FusedMultiplyAdd(p, right, d7);
                weights++;
                value += step;
            }
        }

        if (queries > 0) Put(output, c0, d0);
        if (queries > 1) Put(output + (1 * outputStride), c1, d1);
        if (queries > 2) Put(output + (2 * outputStride), c2, d2);
        if (queries > 3) Put(output + (3 * outputStride), c3, d3);
        if (queries > 4) Put(output + (4 * outputStride), c4, d4);
        if (queries > 5) Put(output + (5 * outputStride), c5, d5);
        if (queries > 6) Put(output + (6 * outputStride), c6, d6);
        if (queries > 7) Put(output + (7 * outputStride), c7, d7);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TV Low, TV High) Rescaled(float* output, float* rescale)
    {
        var factor = TOps.Load(rescale);
        return (TOps.Multiply(TOps.Load(output), factor), TOps.Multiply(TOps.Load(output + TOps.Count), factor));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* output, TV low, TV high)
    {
        TOps.Store(low, output);
        TOps.Store(high, output + TOps.Count);
    }

    /// <summary>Two vectors of keys, of any two blocks; from one dim to the next it is <see cref="Step"/>
    /// bytes.</summary>
    private readonly struct ScoreKeys(byte* first, byte* second, nint step)
    {
        public byte* First { get; } = first;

        public byte* Second { get; } = second;

        public nint Step { get; } = step;
    }

    /// <summary>Dim 0 of the keys at <paramref name="position"/> and the slots after it.</summary>
    private static byte* Key(in AttentionWork work, int position)
    {
        var plane = work.Keys(position, out var slot);
        return plane + (slot * TK.ElementBytes);
    }

    /// <summary>The value at <paramref name="position"/> from <paramref name="dim"/> on.</summary>
    private static byte* Value(in AttentionWork work, int position, int dim)
    {
        var plane = work.Keys(position, out var slot) + work.Geometry.PlaneBytes;
        return plane + ((((nint)slot * work.Geometry.HeadDim) + dim) * TK.ElementBytes);
    }

    private static int EndOfBlock(in AttentionWork work, int position, int end) =>
        Math.Min(end, position - (position % work.Geometry.BlockTokens) + work.Geometry.BlockTokens);
}
