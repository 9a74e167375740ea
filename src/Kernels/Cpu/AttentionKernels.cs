using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// The two products of attention over one tile: scores = queries x keys, a chain over dims with
/// lanes over slots; outputs += weights x values, a chain over slots with lanes over dims. Two vectors at a time;
/// kernels for 4 and for 8 queries, the unused ones computed and dropped.
/// </summary>
internal static unsafe class AttentionKernels<TOps, TV, TK, TAhead>
    where TOps : ILanes<TV>
    where TV : struct
    where TK : IKvLanes<TV>
    where TAhead : IAttentionAhead
{
    private const int Group = AttentionScratch.GroupTokens;

    private static int QueriesAtOnce => TOps.HasManyRegisters ? 8 : 4;

    /// <summary>Scores of all queries at the slots of <paramref name="slots"/>, widened to whole vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score(in AttentionWork work, in AttentionScratch scratch, VisibleRange slots)
    {
        var (queries, dims) = (work.Rows * work.Heads, work.Geometry.HeadDim);
        var keyStep = (nint)work.Geometry.BlockTokens * TK.ElementBytes;
        for (var slot = slots.Low / TOps.Count * TOps.Count; slot < slots.High; slot += 2 * TOps.Count)
        {
            // The last vector of an odd number goes through both places; the same scores are stored twice.
            var second = slot + TOps.Count < slots.High ? slot + TOps.Count : slot;
            var keys = new ScoreKeys(
                Key(scratch, slot), Key(scratch, second), keyStep, scratch.Values[slot / Group],
                scratch.Values[second / Group]);
            var low = scratch.Scores(0) + slot;
            var high = scratch.Scores(0) + second;
            for (var query = 0; query < queries; query += QueriesAtOnce)
            {
                var offset = query * AttentionScratch.TileTokens;
                if (QueriesAtOnce == 4 || queries - query <= 4)
                    ScoreFour(scratch.Query(query), dims, scratch.Dims, keys, low + offset, high + offset);
                else
                    ScoreEight(scratch.Query(query), dims, scratch.Dims, keys, low + offset, high + offset);
            }
        }
    }

    /// <summary>
    /// Adds the weighted values of <paramref name="slots"/> to some queries' outputs, which a tile's first call
    /// rescales.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddValues(
        in AttentionWork work, in AttentionScratch scratch, int firstQuery, int queries, VisibleRange slots)
    {
        var dims = work.Geometry.HeadDim;
        var values = new TileValues(scratch, (nint)dims * TK.ElementBytes, slots);
        for (var i = 0; i < queries; i += QueriesAtOnce)
        {
            var weights = scratch.Scores(firstQuery + i);
            var rescale = scratch.Rescale(firstQuery + i);
            for (var dim = 0; dim < dims; dim += 2 * TOps.Count)
            {
                var output = scratch.Output(firstQuery + i) + dim;
                if (QueriesAtOnce == 4 || queries - i <= 4)
                    AddValuesFour(values, output, scratch.Dims, rescale, weights, queries - i, dim);
                else
                    AddValuesEight(values, output, scratch.Dims, rescale, weights, queries - i, dim);
            }
        }

        for (var query = firstQuery; query < firstQuery + queries; query++)
            scratch.KeepScale(query);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreFour(float* queries, nint dims, nint queryStride, ScoreKeys keys, float* low, float* high)
    {
        var k0 = keys.First;
        var k1 = keys.Second;
        var v0 = keys.FirstValues;
        var v1 = keys.SecondValues;
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
            TAhead.Ask(v0, dim * Group * TK.ElementBytes);
            TAhead.Ask(v1, dim * Group * TK.ElementBytes);
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
        var v0 = keys.FirstValues;
        var v1 = keys.SecondValues;
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
            TAhead.Ask(v0, dim * Group * TK.ElementBytes);
            TAhead.Ask(v1, dim * Group * TK.ElementBytes);
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
    private static void AddValuesFour(
        in TileValues tile, float* output, nint outputStride, float* rescale, float* weights, int queries, int dim)
    {
        const int next = AttentionScratch.TileTokens;
        const int lanes = LaneMath.SumLanes;
        var (c0, d0) = Rescaled(output, rescale);
        var (c1, d1) = Rescaled(output + (1 * outputStride), rescale + lanes);
        var (c2, d2) = Rescaled(output + (2 * outputStride), rescale + (2 * lanes));
        var (c3, d3) = Rescaled(output + (3 * outputStride), rescale + (3 * lanes));
        for (var slot = tile.Slots.Low; slot < tile.Slots.High;)
        {
            var value = tile.Groups[slot / Group] + (slot % Group * tile.Step) + (dim * TK.ElementBytes);
            var ahead = (nint)(tile.Ahead[slot / Group] - tile.Groups[slot / Group]);
            var end = Math.Min(tile.Slots.High, slot - (slot % Group) + Group);
            for (; slot < end; slot++)
            {
                TAhead.Ask(value, ahead);
                TAhead.Ask(value, ahead + (TOps.Count * TK.ElementBytes));
                var left = TK.Load(value);
                var right = TK.Load(value + (TOps.Count * TK.ElementBytes));
                var p = TOps.Broadcast(weights[slot]);
                c0 = TOps.FusedMultiplyAdd(p, left, c0);
                d0 = TOps.FusedMultiplyAdd(p, right, d0);
                p = TOps.Broadcast(weights[next + slot]);
                c1 = TOps.FusedMultiplyAdd(p, left, c1);
                d1 = TOps.FusedMultiplyAdd(p, right, d1);
                p = TOps.Broadcast(weights[(2 * next) + slot]);
                c2 = TOps.FusedMultiplyAdd(p, left, c2);
                d2 = TOps.FusedMultiplyAdd(p, right, d2);
                p = TOps.Broadcast(weights[(3 * next) + slot]);
                c3 = TOps.FusedMultiplyAdd(p, left, c3);
                d3 = TOps.FusedMultiplyAdd(p, right, d3);
                value += tile.Step;
            }
        }

        if (queries > 0) Put(output, c0, d0);
        if (queries > 1) Put(output + (1 * outputStride), c1, d1);
        if (queries > 2) Put(output + (2 * outputStride), c2, d2);
        if (queries > 3) Put(output + (3 * outputStride), c3, d3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddValuesEight(
        in TileValues tile, float* output, nint outputStride, float* rescale, float* weights, int queries, int dim)
    {
        const int next = AttentionScratch.TileTokens;
        const int lanes = LaneMath.SumLanes;
        var (c0, d0) = Rescaled(output, rescale);
        var (c1, d1) = Rescaled(output + (1 * outputStride), rescale + lanes);
        var (c2, d2) = Rescaled(output + (2 * outputStride), rescale + (2 * lanes));
        var (c3, d3) = Rescaled(output + (3 * outputStride), rescale + (3 * lanes));
        var (c4, d4) = Rescaled(output + (4 * outputStride), rescale + (4 * lanes));
        var (c5, d5) = Rescaled(output + (5 * outputStride), rescale + (5 * lanes));
        var (c6, d6) = Rescaled(output + (6 * outputStride), rescale + (6 * lanes));
        var (c7, d7) = Rescaled(output + (7 * outputStride), rescale + (7 * lanes));
        for (var slot = tile.Slots.Low; slot < tile.Slots.High;)
        {
            var value = tile.Groups[slot / Group] + (slot % Group * tile.Step) + (dim * TK.ElementBytes);
            var ahead = (nint)(tile.Ahead[slot / Group] - tile.Groups[slot / Group]);
            var end = Math.Min(tile.Slots.High, slot - (slot % Group) + Group);
            for (; slot < end; slot++)
            {
                TAhead.Ask(value, ahead);
                TAhead.Ask(value, ahead + (TOps.Count * TK.ElementBytes));
                var left = TK.Load(value);
                var right = TK.Load(value + (TOps.Count * TK.ElementBytes));
                var p = TOps.Broadcast(weights[slot]);
                c0 = TOps.FusedMultiplyAdd(p, left, c0);
                d0 = TOps.FusedMultiplyAdd(p, right, d0);
                p = TOps.Broadcast(weights[next + slot]);
                c1 = TOps.FusedMultiplyAdd(p, left, c1);
                d1 = TOps.FusedMultiplyAdd(p, right, d1);
                p = TOps.Broadcast(weights[(2 * next) + slot]);
                c2 = TOps.FusedMultiplyAdd(p, left, c2);
                d2 = TOps.FusedMultiplyAdd(p, right, d2);
                p = TOps.Broadcast(weights[(3 * next) + slot]);
                c3 = TOps.FusedMultiplyAdd(p, left, c3);
                d3 = TOps.FusedMultiplyAdd(p, right, d3);
                p = TOps.Broadcast(weights[(4 * next) + slot]);
                c4 = TOps.FusedMultiplyAdd(p, left, c4);
                d4 = TOps.FusedMultiplyAdd(p, right, d4);
                p = TOps.Broadcast(weights[(5 * next) + slot]);
                c5 = TOps.FusedMultiplyAdd(p, left, c5);
                d5 = TOps.FusedMultiplyAdd(p, right, d5);
                p = TOps.Broadcast(weights[(6 * next) + slot]);
                c6 = TOps.FusedMultiplyAdd(p, left, c6);
                d6 = TOps.FusedMultiplyAdd(p, right, d6);
                p = TOps.Broadcast(weights[(7 * next) + slot]);
                c7 = TOps.FusedMultiplyAdd(p, left, c7);
                d7 = TOps.FusedMultiplyAdd(p, right, d7);
                value += tile.Step;
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
    private readonly struct ScoreKeys(byte* first, byte* second, nint step, byte* firstValues, byte* secondValues)
    {
        public byte* First { get; } = first;

        public byte* Second { get; } = second;

        public nint Step { get; } = step;

        /// <summary>The values of the first vector's group, which are needed next.</summary>
        public byte* FirstValues { get; } = firstValues;

        public byte* SecondValues { get; } = secondValues;
    }

    /// <summary>Where the values of a tile are, and which of them to add.</summary>
    private readonly struct TileValues(in AttentionScratch scratch, nint step, VisibleRange slots)
    {
        /// <summary>Dim 0 of the first slot of each group.</summary>
        public byte** Groups { get; } = scratch.Values;

        /// <summary>The keys of the next tile, as many bytes a group as values.</summary>
        public byte** Ahead { get; } = scratch.Ahead;

        /// <summary>Bytes from one slot to the next.</summary>
        public nint Step { get; } = step;

        public VisibleRange Slots { get; } = slots;
    }

    /// <summary>Dim 0 of the keys of a vector of slots.</summary>
    private static byte* Key(in AttentionScratch scratch, int slot) =>
        scratch.Keys[slot / Group] + (slot % Group * TK.ElementBytes);
}
