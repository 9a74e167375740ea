using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// The outer-product micro-kernels. Each output is one accumulator: its bias, then one fused multiply-add for each
/// input in ascending order (of INT8 weights: from zero, then once times scale plus bias). That chain is the same in
/// all of them, so that it makes no difference to a row which one ran. Shapes are rows x panels; 8 to 16 accumulators
/// hide the multiply-add's latency.
/// </summary>
internal static unsafe class LinearKernels<TOps, TV, TW>
    where TOps : ILanes<TV>
    where TV : struct
    where TW : IWeightLanes<TV>
{
    /// <summary>How far ahead of use kernels that compute on a weight for long ask for it: the processor's own prefetch
    /// then lags behind. Found by trying.</summary>
    private const nint PrefetchBytes = 8192;

    /// <summary>The same for one and two rows, which read four streams at once: 8 KiB in all. A tenth of the bandwidth
    /// on a fifth-generation Xeon.</summary>
    private const nint StreamPrefetchBytes = 2048;

    /// <summary>One row: bound by memory, four streams of weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void OneByFour(in LinearTile tile)
    {
        var step = 2 * TOps.Count * TW.ElementBytes;
        var a0 = tile.Input;
        var w0 = tile.Weights;
        var w1 = w0 + (tile.Panels > 1 ? tile.PanelBytes : 0);
        var w2 = w1 + (tile.Panels > 2 ? tile.PanelBytes : 0);
        var w3 = w2 + (tile.Panels > 3 ? tile.PanelBytes : 0);
        var (c0, d0) = Start(tile, 0);
        var (c1, d1) = Start(tile, 1);
        var (c2, d2) = Start(tile, 2);
        var (c3, d3) = Start(tile, 3);
        for (nint k = 0; k < tile.Inputs; k++)
        {
            PrefetchStreams(w0, w1, w2, w3);
            var a = TOps.Broadcast(a0[k]);
            c0 = TOps.FusedMultiplyAdd(a, TW.Low(w0), c0);
            d0 = TOps.FusedMultiplyAdd(a, TW.High(w0), d0);
            c1 = TOps.FusedMultiplyAdd(a, TW.Low(w1), c1);
            d1 = TOps.FusedMultiplyAdd(a, TW.High(w1), d1);
            c2 = TOps.FusedMultiplyAdd(a, TW.Low(w2), c2);
            d2 = TOps.FusedMultiplyAdd(a, TW.High(w2), d2);
            c3 = TOps.FusedMultiplyAdd(a, TW.Low(w3), c3);
            d3 = TOps.FusedMultiplyAdd(a, TW.High(w3), d3);
            w0 += step;
            w1 += step;
            w2 += step;
            w3 += step;
        }

        Finish(tile, 0, 0, c0, d0);
        Finish(tile, 0, 1, c1, d1);
        Finish(tile, 0, 2, c2, d2);
        Finish(tile, 0, 3, c3, d3);
    }

    /// <summary>Two rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void TwoByFour(in LinearTile tile)
    {
        var step = 2 * TOps.Count * TW.ElementBytes;
        var a0 = tile.Input;
        var a1 = a0 + (tile.Rows > 1 ? tile.InputStride : 0);
        var w0 = tile.Weights;
        var w1 = w0 + (tile.Panels > 1 ? tile.PanelBytes : 0);
        var w2 = w1 + (tile.Panels > 2 ? tile.PanelBytes : 0);
        var w3 = w2 + (tile.Panels > 3 ? tile.PanelBytes : 0);
        var (c00, d00) = Start(tile, 0);
        var (c01, d01) = Start(tile, 1);
        var (c02, d02) = Start(tile, 2);
        var (c03, d03) = Start(tile, 3);
        var (c10, d10, c11, d11) = (c00, d00, c01, d01);
        var (c12, d12, c13, d13) = (c02, d02, c03, d03);
        for (nint k = 0; k < tile.Inputs; k++)
        {
            PrefetchStreams(w0, w1, w2, w3);
            var a = TOps.Broadcast(a0[k]);
            var b = TOps.Broadcast(a1[k]);
            var low = TW.Low(w0);
            var high = TW.High(w0);
            c00 = TOps.FusedMultiplyAdd(a, low, c00);
            d00 = TOps.FusedMultiplyAdd(a, high, d00);
            c10 = TOps.FusedMultiplyAdd(b, low, c10);
            d10 = TOps.FusedMultiplyAdd(b, high, d10);
            low = TW.Low(w1);
            high = TW.High(w1);
            c01 = TOps.FusedMultiplyAdd(a, low, c01);
            d01 = TOps.FusedMultiplyAdd(a, high, d01);
            c11 = TOps.FusedMultiplyAdd(b, low, c11);
            d11 = TOps.FusedMultiplyAdd(b, high, d11);
            low = TW.Low(w2);
            high = TW.High(w2);
            c02 = TOps.FusedMultiplyAdd(a, low, c02);
            d02 = TOps.FusedMultiplyAdd(a, high, d02);
            c12 = TOps.FusedMultiplyAdd(b, low, c12);
            d12 = TOps.FusedMultiplyAdd(b, high, d12);
            low = TW.Low(w3);
            high = TW.High(w3);
            c03 = TOps.FusedMultiplyAdd(a, low, c03);
            d03 = TOps.FusedMultiplyAdd(a, high, d03);
            c13 = TOps.FusedMultiplyAdd(b, low, c13);
            d13 = TOps.FusedMultiplyAdd(b, high, d13);
            w0 += step;
            w1 += step;
            w2 += step;
            w3 += step;
        }

        Finish(tile, 0, 0, c00, d00);
        Finish(tile, 0, 1, c01, d01);
        Finish(tile, 0, 2, c02, d02);
        Finish(tile, 0, 3, c03, d03);
        Finish(tile, 1, 0, c10, d10);
        Finish(tile, 1, 1, c11, d11);
        Finish(tile, 1, 2, c12, d12);
        Finish(tile, 1, 3, c13, d13);
    }

    /// <summary>Three or four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourByTwo(in LinearTile tile)
    {
        var step = 2 * TOps.Count * TW.ElementBytes;
        var a0 = tile.Input;
        var a1 = a0 + (tile.Rows > 1 ? tile.InputStride : 0);
        var a2 = a1 + (tile.Rows > 2 ? tile.InputStride : 0);
        var a3 = a2 + (tile.Rows > 3 ? tile.InputStride : 0);
        var w0 = tile.Weights;
        var w1 = w0 + (tile.Panels > 1 ? tile.PanelBytes : 0);
        var (c00, d00) = Start(tile, 0);
        var (c01, d01) = Start(tile, 1);
        var (c10, d10, c11, d11) = (c00, d00, c01, d01);
        var (c20, d20, c21, d21) = (c00, d00, c01, d01);
        var (c30, d30, c31, d31) = (c00, d00, c01, d01);
        for (nint k = 0; k < tile.Inputs; k++)
        {
            Prefetch(w0);
            Prefetch(w1);
            var low0 = TW.Low(w0);
            var high0 = TW.High(w0);
            var low1 = TW.Low(w1);
            var high1 = TW.High(w1);
            var a = TOps.Broadcast(a0[k]);
            c00 = TOps.FusedMultiplyAdd(a, low0, c00);
            d00 = TOps.FusedMultiplyAdd(a, high0, d00);
            c01 = TOps.FusedMultiplyAdd(a, low1, c01);
            d01 = TOps.FusedMultiplyAdd(a, high1, d01);
            a = TOps.Broadcast(a1[k]);
            c10 = TOps.FusedMultiplyAdd(a, low0, c10);
            d10 = TOps.FusedMultiplyAdd(a, high0, d10);
            c11 = TOps.FusedMultiplyAdd(a, low1, c11);
            d11 = TOps.FusedMultiplyAdd(a, high1, d11);
            a = TOps.Broadcast(a2[k]);
            c20 = TOps.FusedMultiplyAdd(a, low0, c20);
            d20 = TOps.FusedMultiplyAdd(a, high0, d20);
            c21 = TOps.FusedMultiplyAdd(a, low1, c21);
            d21 = TOps.FusedMultiplyAdd(a, high1, d21);
            a = TOps.Broadcast(a3[k]);
            c30 = TOps.FusedMultiplyAdd(a, low0, c30);
            d30 = TOps.FusedMultiplyAdd(a, high0, d30);
            c31 = TOps.FusedMultiplyAdd(a, low1, c31);
            d31 = TOps.FusedMultiplyAdd(a, high1, d31);
            w0 += step;
            w1 += step;
        }

        Finish(tile, 0, 0, c00, d00);
        Finish(tile, 0, 1, c01, d01);
        Finish(tile, 1, 0, c10, d10);
        Finish(tile, 1, 1, c11, d11);
        Finish(tile, 2, 0, c20, d20);
        Finish(tile, 2, 1, c21, d21);
        Finish(tile, 3, 0, c30, d30);
        Finish(tile, 3, 1, c31, d31);
    }

    /// <summary>Two to four rows where there are only 16 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourByOne(in LinearTile tile)
    {
        var step = 2 * TOps.Count * TW.ElementBytes;
        var a0 = tile.Input;
        var a1 = a0 + (tile.Rows > 1 ? tile.InputStride : 0);
        var a2 = a1 + (tile.Rows > 2 ? tile.InputStride : 0);
        var a3 = a2 + (tile.Rows > 3 ? tile.InputStride : 0);
        var w = tile.Weights;
        var (c0, d0) = Start(tile, 0);
        var (c1, d1, c2, d2, c3, d3) = (c0, d0, c0, d0, c0, d0);
        for (nint k = 0; k < tile.Inputs; k++)
        {
            Prefetch(w);
            var low = TW.Low(w);
            var high = TW.High(w);
            var a = TOps.Broadcast(a0[k]);
            c0 = TOps.FusedMultiplyAdd(a, low, c0);
            d0 = TOps.FusedMultiplyAdd(a, high, d0);
            a = TOps.Broadcast(a1[k]);
            c1 = TOps.FusedMultiplyAdd(a, low, c1);
            d1 = TOps.FusedMultiplyAdd(a, high, d1);
            a = TOps.Broadcast(a2[k]);
            c2 = TOps.FusedMultiplyAdd(a, low, c2);
            d2 = TOps.FusedMultiplyAdd(a, high, d2);
            a = TOps.Broadcast(a3[k]);
            c3 = TOps.FusedMultiplyAdd(a, low, c3);
            d3 = TOps.FusedMultiplyAdd(a, high, d3);
            w += step;
        }

        Finish(tile, 0, 0, c0, d0);
        Finish(tile, 1, 0, c1, d1);
        Finish(tile, 2, 0, c2, d2);
        Finish(tile, 3, 0, c3, d3);
    }

    /// <summary>Five to eight rows: bound by arithmetic, nine loads for sixteen multiply-adds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void EightByOne(in LinearTile tile)
    {
        var step = 2 * TOps.Count * TW.ElementBytes;
        var a0 = tile.Input;
        var a1 = a0 + (tile.Rows > 1 ? tile.InputStride : 0);
        var a2 = a1 + (tile.Rows > 2 ? tile.InputStride : 0);
        var a3 = a2 + (tile.Rows > 3 ? tile.InputStride : 0);
        var a4 = a3 + (tile.Rows > 4 ? tile.InputStride : 0);
        var a5 = a4 + (tile.Rows > 5 ? tile.InputStride : 0);
        var a6 = a5 + (tile.Rows > 6 ? tile.InputStride : 0);
        var a7 = a6 + (tile.Rows > 7 ? tile.InputStride : 0);
        var w = tile.Weights;
        var (c0, d0) = Start(tile, 0);
        var (c1, c2, c3, c4, c5, c6, c7) = (c0, c0, c0, c0, c0, c0, c0);
        var (d1, d2, d3, d4, d5, d6, d7) = (d0, d0, d0, d0, d0, d0, d0);
        for (nint k = 0; k < tile.Inputs; k++)
        {
            Prefetch(w);
            var low = TW.Low(w);
            var high = TW.High(w);
            var a = TOps.Broadcast(a0[k]);
            c0 = TOps.FusedMultiplyAdd(a, low, c0);
            d0 = TOps.FusedMultiplyAdd(a, high, d0);
            a = TOps.Broadcast(a1[k]);
            c1 = TOps.FusedMultiplyAdd(a, low, c1);
            d1 = TOps.FusedMultiplyAdd(a, high, d1);
            a = TOps.Broadcast(a2[k]);
            c2 = TOps.FusedMultiplyAdd(a, low, c2);
            d2 = TOps.FusedMultiplyAdd(a, high, d2);
            a = TOps.Broadcast(a3[k]);
            c3 = TOps.FusedMultiplyAdd(a, low, c3);
            d3 = TOps.FusedMultiplyAdd(a, high, d3);
            a = TOps.Broadcast(a4[k]);
            c4 = TOps.FusedMultiplyAdd(a, low, c4);
            d4 = TOps.FusedMultiplyAdd(a, high, d4);
            a = TOps.Broadcast(a5[k]);
            c5 = TOps.FusedMultiplyAdd(a, low, c5);
            d5 = TOps.FusedMultiplyAdd(a, high, d5);
            a = TOps.Broadcast(a6[k]);
            c6 = TOps.FusedMultiplyAdd(a, low, c6);
            d6 = TOps.FusedMultiplyAdd(a, high, d6);
            a = TOps.Broadcast(a7[k]);
            c7 = TOps.FusedMultiplyAdd(a, low, c7);
            d7 = TOps.FusedMultiplyAdd(a, high, d7);
            w += step;
        }

        Finish(tile, 0, 0, c0, d0);
        Finish(tile, 1, 0, c1, d1);
        Finish(tile, 2, 0, c2, d2);
        Finish(tile, 3, 0, c3, d3);
        Finish(tile, 4, 0, c4, d4);
        Finish(tile, 5, 0, c5, d5);
        Finish(tile, 6, 0, c6, d6);
        Finish(tile, 7, 0, c7, d7);
    }

    /// <summary>Asks for the lines of one input's weights in four panels. Close to a panel's end they are the next
    /// panel's, which is read already: a waste of 2 KiB of some 50.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchStreams(byte* w0, byte* w1, byte* w2, byte* w3)
    {
        Cache.Prefetch(w0, StreamPrefetchBytes);
        Cache.Prefetch(w1, StreamPrefetchBytes);
        Cache.Prefetch(w2, StreamPrefetchBytes);
        Cache.Prefetch(w3, StreamPrefetchBytes);
        if (2 * TOps.Count * TW.ElementBytes <= Cache.LineBytes) return;
        Cache.Prefetch(w0, StreamPrefetchBytes + Cache.LineBytes);
        Cache.Prefetch(w1, StreamPrefetchBytes + Cache.LineBytes);
        Cache.Prefetch(w2, StreamPrefetchBytes + Cache.LineBytes);
        Cache.Prefetch(w3, StreamPrefetchBytes + Cache.LineBytes);
    }

    /// <summary>Asks for the one or two lines of one input's weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* weights)
    {
        Cache.Prefetch(weights, PrefetchBytes);
        if (2 * TOps.Count * TW.ElementBytes > Cache.LineBytes)
            Cache.Prefetch(weights, PrefetchBytes + Cache.LineBytes);
    }

    /// <summary>The two accumulators of a panel before the first input.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TV Low, TV High) Start(in LinearTile tile, int panel)
    {
        if (TW.IsScaled) return (TOps.Zero, TOps.Zero);
        var bias = tile.Bias + (2 * TOps.Count * Math.Min(panel, tile.Panels - 1));
        return (TOps.Load(bias), TOps.Load(bias + TOps.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(in LinearTile tile, int row, int panel, TV low, TV high)
    {
        if (row >= tile.Rows || panel >= tile.Panels) return;
        var column = 2 * TOps.Count * panel;
        var output = tile.Output + (row * tile.OutputStride) + column;
        if (TW.IsScaled)
        {
            var scale = tile.Scales + column;
            var bias = tile.Bias + column;
            low = TOps.FusedMultiplyAdd(low, TOps.Load(scale), TOps.Load(bias));
            high = TOps.FusedMultiplyAdd(high, TOps.Load(scale + TOps.Count), TOps.Load(bias + TOps.Count));
        }

        if (tile.Accumulate)
        {
            low = TOps.Add(TOps.Load(output), low);
            high = TOps.Add(TOps.Load(output + TOps.Count), high);
        }

        TOps.Store(low, output);
        TOps.Store(high, output + TOps.Count);
    }
}
