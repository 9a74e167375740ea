using System.Runtime.CompilerServices;
using Krewe.Abstractions;

namespace Krewe.Kernels;

/// <summary>
/// Paged attention with an online softmax. A row's order is fixed by positions alone: tiles of 64 positions, in order;
/// inside a tile a score is a chain over dims, the maximum and the 16 partial sums of weights are updated once, and an
/// output is a chain over positions. A slot that a row may not see is never read into it: whatever it holds, NaN
/// included, cannot show.
/// </summary>
internal static unsafe class CpuAttention<TOps, TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    private const int TileTokens = AttentionScratch.TileTokens;

    public static void Run(in AttentionWork work)
    {
        switch (work.Geometry.Format)
        {
            case KvFormat.BF16:
                Choose<BrainKv<TOps, TV>>(work);
                break;
            case KvFormat.F16:
                Choose<HalfKv<TOps, TV>>(work);
                break;
            case KvFormat.F32:
                Choose<SingleKv<TOps, TV>>(work);
                break;
            default:
                throw new ArgumentOutOfRangeException(
                    nameof(work), work.Geometry.Format, "No kernel for this KV format.");
        }
    }

    private static void Choose<TK>(in AttentionWork work)
        where TK : IKvLanes<TV>
    {
        if (work.Rows == 1)
            Run<TK, ColdContext>(work);
        else
            Run<TK, WarmContext>(work);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<TK, TAhead>(in AttentionWork work)
        where TK : IKvLanes<TV>
        where TAhead : IAttentionAhead
    {
        var scratch = new AttentionScratch(work.Scratch, work.Geometry.HeadDim);
        var (first, last) = (work.SeenBy(0), work.SeenBy(work.Rows - 1));
        var any = new VisibleRange(first.Low, last.High);
        var all = new VisibleRange(last.Low, first.High);
        var tile = any.Low / TileTokens * TileTokens;
        if (TAhead.IsCold) CachePrefetch.Keys(work, any.Within(tile, TileTokens), tile);
        Load(work, scratch);
        for (; tile < any.High; tile += TileTokens)
        {
            var seen = any.Within(tile, TileTokens);
            Locate(work, scratch, seen, tile);
            var next = tile + TileTokens;
            if (TAhead.IsCold) LookAhead(work, scratch, seen, any.Within(next, TileTokens), next);
            AttentionKernels<TOps, TV, TK, TAhead>.Score(work, scratch, seen);
            for (var row = 0; row < work.Rows; row++)
                Soften(work, scratch, row, work.SeenBy(row).Within(tile, TileTokens));
            AddValues<TK, TAhead>(work, scratch, all.Within(tile, TileTokens), tile);
        }

        Store(work, scratch);
    }

    /// <summary>Finds the groups of a tile that any row sees.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Locate(in AttentionWork work, in AttentionScratch scratch, VisibleRange seen, int tile)
    {
        const int group = AttentionScratch.GroupTokens;
        for (var i = seen.Low / group; i * group < seen.High; i++)
            work.Locate(tile + (i * group), out scratch.Keys[i], out scratch.Values[i]);
    }

    /// <summary>Where the next tile's keys are; where it has none, this tile's, which are there already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void LookAhead(
        in AttentionWork work, in AttentionScratch scratch, VisibleRange seen, VisibleRange next, int nextTile)
    {
        const int group = AttentionScratch.GroupTokens;
        var chunk = (nint)group * work.Geometry.HeadDim * work.Geometry.ElementBytes;
        for (var i = seen.Low / group; i * group < seen.High; i++)
        {
            var slot = i * group;
            if (slot < next.Low || slot >= next.High)
            {
                scratch.Ahead[i] = scratch.Values[i];
                continue;
            }

            // A block's keys lie dim by dim, all its groups in one stretch as long as its values.
            var first = (nextTile + slot) % work.Geometry.BlockTokens;
            work.Locate(nextTile + slot - first, out var keys, out _);
            scratch.Ahead[i] = keys + (first / group * chunk);
        }
    }

    /// <summary>Scores of one row's queries to weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Soften(in AttentionWork work, in AttentionScratch scratch, int row, VisibleRange seen)
    {
        if (seen.IsEmpty) return;
        for (var query = row * work.Heads; query < (row + 1) * work.Heads; query++)
            AttentionSoftmax<TOps, TV>.Update(scratch, query, seen);
    }

    /// <summary>
    /// Slots that all rows see are added for all at once; before and after them each row adds its own.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddValues<TK, TAhead>(
        in AttentionWork work, in AttentionScratch scratch, VisibleRange shared, int tile)
        where TK : IKvLanes<TV>
        where TAhead : IAttentionAhead
    {
        if (work.Rows > 1)
        {
            for (var row = 0; row < work.Rows; row++)
            {
                var seen = work.SeenBy(row).Within(tile, TileTokens);
                AddValues<TK, TAhead>(work, scratch, row, shared.IsEmpty ? seen : seen with { High = shared.Low });
            }
        }

        if (shared.IsEmpty) return;
        AttentionKernels<TOps, TV, TK, TAhead>.AddValues(work, scratch, 0, work.Rows * work.Heads, shared);
        for (var row = 1; row < work.Rows; row++)
        {
            var seen = work.SeenBy(row).Within(tile, TileTokens);
            AddValues<TK, TAhead>(work, scratch, row, seen with { Low = shared.High });
        }
    }

    private static void AddValues<TK, TAhead>(
        in AttentionWork work, in AttentionScratch scratch, int row, VisibleRange slots)
        where TK : IKvLanes<TV>
        where TAhead : IAttentionAhead
    {
        if (!slots.IsEmpty)
            AttentionKernels<TOps, TV, TK, TAhead>.AddValues(work, scratch, row * work.Heads, work.Heads, slots);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Load(in AttentionWork work, in AttentionScratch scratch)
    {
        scratch.Reset(work.Rows * work.Heads);
        var dims = work.Geometry.HeadDim;
        for (var row = 0; row < work.Rows; row++)
        {
            for (var head = 0; head < work.Heads; head++)
            {
                var source = work.Query + (row * work.QueryStride) + (head * dims);
                var target = scratch.Query((row * work.Heads) + head);
                new ReadOnlySpan<float>(source, dims).CopyTo(new Span<float>(target, dims));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store(in AttentionWork work, in AttentionScratch scratch)
    {
        var dims = work.Geometry.HeadDim;
        for (var row = 0; row < work.Rows; row++)
        {
            for (var head = 0; head < work.Heads; head++)
            {
                var query = (row * work.Heads) + head;
                var source = scratch.Output(query);
                var target = work.Output + (row * work.OutputStride) + (head * dims);
                var scale = 1 / LaneMath.SumTree(scratch.Sums(query));
                var dim = 0;
                for (; dim <= dims - TOps.Count; dim += TOps.Count)
                    TOps.Store(TOps.Multiply(TOps.Load(source + dim), TOps.Broadcast(scale)), target + dim);
                for (; dim < dims; dim++)
                    target[dim] = source[dim] * scale;
            }
        }
    }
}
