using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// Dense product rows x panels. Splits the work into the shapes of <see cref="LinearKernels{TOps,TV,TW}"/>; the split
/// moves work about, never the order inside an output's sum.
/// </summary>
internal static unsafe class CpuLinear<TOps, TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    /// <summary>Panels that a row tile visits before the next row tile: their weights stay in the second-level cache.
    /// </summary>
    private const int StripPanels = 4;

    public static void Multiply(in LinearTile work, WeightFormat format)
    {
        switch (format)
        {
            case WeightFormat.BF16:
                Multiply<BrainWeights<TOps, TV>>(work);
                break;
            case WeightFormat.F16:
                Multiply<HalfWeights<TOps, TV>>(work);
                break;
            case WeightFormat.F32:
                Multiply<SingleWeights<TOps, TV>>(work);
                break;
            case WeightFormat.Int8:
                Multiply<ByteWeights<TOps, TV>>(work);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(format), format, "A weight format without a kernel.");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TW>(in LinearTile work)
        where TW : IWeightLanes<TV>
    {
        for (var panel = 0; panel < work.Panels; panel += StripPanels)
        {
            var strip = Panels(work, panel, Math.Min(StripPanels, work.Panels - panel));
            for (var row = 0; row < work.Rows;)
            {
                var tile = strip;
                tile.Input += row * work.InputStride;
                tile.Output += row * work.OutputStride;
                tile.Rows = Math.Min(TOps.HasManyRegisters ? 8 : 4, work.Rows - row);
                Run<TW>(tile);
                row += tile.Rows;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<TW>(in LinearTile tile)
        where TW : IWeightLanes<TV>
    {
        if (tile.Rows == 1)
        {
            LinearKernels<TOps, TV, TW>.OneByFour(tile);
        }
        else if (!TOps.HasManyRegisters)
        {
            for (var panel = 0; panel < tile.Panels; panel++)
                LinearKernels<TOps, TV, TW>.FourByOne(Panels(tile, panel, 1));
        }
        else if (tile.Rows == 2)
        {
            LinearKernels<TOps, TV, TW>.TwoByFour(tile);
        }
        else if (tile.Rows <= 4)
        {
            for (var panel = 0; panel < tile.Panels; panel += 2)
                LinearKernels<TOps, TV, TW>.FourByTwo(Panels(tile, panel, Math.Min(2, tile.Panels - panel)));
        }
        else
        {
            for (var panel = 0; panel < tile.Panels; panel++)
                LinearKernels<TOps, TV, TW>.EightByOne(Panels(tile, panel, 1));
        }
    }

    private static LinearTile Panels(LinearTile tile, int first, int count)
    {
        var outputs = 2 * TOps.Count * first;
        tile.Weights += first * tile.PanelBytes;
        tile.Bias += outputs;
        tile.Scales += outputs;
        tile.Output += outputs;
        tile.Panels = count;
        return tile;
    }
}
