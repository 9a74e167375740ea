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
    public static void Run(in AttentionWork work)
    {
        switch (work.Geometry.Format)
        {
            case KvFormat.BF16:
                Run<BrainKv<TOps, TV>>(work);
                break;
            case KvFormat.F16:
                Run<HalfKv<TOps, TV>>(work);
                break;
            case KvFormat.F32:
                Run<SingleKv<TOps, TV>>(work);
                break;
            default:
                throw new ArgumentOutOfRangeException(
                    nameof(work), work.Geometry.Format, "No kernel for this KV format.");
        }
    }

    private static void Run<TK>(in AttentionWork work)
        where TK : IKvLanes<TV>
    {
        const int tileTokens = AttentionScratch.TileTokens;
        var scratch = new AttentionScratch(work.Scratch, work.Geometry.HeadDim);
        var queries = work.Rows * work.Heads;
        var keyStep = (nint)work.Geometry.BlockTokens * TK.ElementBytes;
        Load(work, scratch, queries);

        var first = VisibleRange.Of(work.FirstPosition, work.Window);
        var last = VisibleRange.Of(work.FirstPosition + work.Rows - 1, work.Window);
        for (var tile = first.Low / tileTokens * tileTokens; tile < last.High; tile += tileTokens)
        {
            var seen = new VisibleRange(first.Low, last.High).Within(tile, tileTokens);
            Locate(work, scratch, tile, seen);
            AttentionKernels<TOps, TV, TK>.Score(scratch, queries, work.Geometry.HeadDim, keyStep, seen);
            if (first.Within(tile, tileTokens) == last.Within(tile, tileTokens))
            {
                Weigh<TK>(work, scratch, seen, 0, queries);
                continue;
            }

            for (var row = 0; row < work.Rows; row++)
            {
                seen = VisibleRange.Of(work.FirstPosition + row, work.Window).Within(tile, tileTokens);
                if (!seen.IsEmpty) Weigh<TK>(work, scratch, seen, row * work.Heads, work.Heads);
            }
        }

        Store(work, scratch, queries);
    }

    /// <summary>Finds the groups of a tile that any row sees.</summary>
    private static void Locate(in AttentionWork work, in AttentionScratch scratch, int tile, VisibleRange seen)
    {
        const int group = AttentionScratch.GroupTokens;
        for (var i = seen.Low / group; i * group < seen.High; i++)
            work.Locate(tile + (i * group), out scratch.Keys[i], out scratch.Values[i]);
    }

    /// <summary>Adds a tile's slots to some queries, all of which see the same of them.</summary>
    private static void Weigh<TK>(
        in AttentionWork work, in AttentionScratch scratch, VisibleRange seen, int firstQuery, int queries)
        where TK : IKvLanes<TV>
    {
        for (var query = firstQuery; query < firstQuery + queries; query++)
            AttentionSoftmax<TOps, TV>.Update(scratch, query, seen);
        AttentionKernels<TOps, TV, TK>.AddValues(scratch, firstQuery, queries, work.Geometry.HeadDim, seen);
    }

    private static void Load(in AttentionWork work, in AttentionScratch scratch, int queries)
    {
        scratch.Reset(queries);
        var dims = work.Geometry.HeadDim;
        for (var query = 0; query < queries; query++)
        {
            var (row, head) = (query / work.Heads, query % work.Heads);
            var source = work.Query + (row * work.QueryStride) + (head * dims);
            new ReadOnlySpan<float>(source, dims).CopyTo(new Span<float>(scratch.Query(query), dims));
        }
    }

    private static void Store(in AttentionWork work, in AttentionScratch scratch, int queries)
    {
        var dims = work.Geometry.HeadDim;
        for (var query = 0; query < queries; query++)
        {
            var (row, head) = (query / work.Heads, query % work.Heads);
            var scale = 1 / LaneMath.SumTree(scratch.Sums(query));
            var source = scratch.Output(query);
            var target = work.Output + (row * work.OutputStride) + (head * dims);
            for (var i = 0; i < dims; i++)
                target[i] = source[i] * scale;
        }
    }
}
