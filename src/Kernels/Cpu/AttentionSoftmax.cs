using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>The online softmax of one query over one tile of scores.</summary>
internal static unsafe class AttentionSoftmax<TOps, TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    private const int GroupSlots = LaneMath.SumLanes;

    /// <summary>
    /// Turns the scores of <paramref name="slots"/> into weights relative to the new running maximum, adds them to the
    /// partial sums and leaves the factor for earlier outputs. Works in groups of 16 slots on every width; the other
    /// slots of a group it enters get weight 0.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Update(in AttentionScratch scratch, int query, VisibleRange slots)
    {
        var scores = scratch.Scores(query);
        var low = slots.Low / GroupSlots * GroupSlots;
        var high = (slots.High + GroupSlots - 1) / GroupSlots * GroupSlots;
        for (var i = low; i < slots.Low; i++) scores[i] = float.NegativeInfinity;
        for (var i = slots.High; i < high; i++) scores[i] = float.NegativeInfinity;

        var maxima = TOps.Load(scores + low);
        for (var i = low + TOps.Count; i < high; i += TOps.Count)
            maxima = TOps.Max(maxima, TOps.Load(scores + i));
        var maximum = MathF.Max(scratch.Maximum(query), TOps.MaxAcross(maxima));
        var center = TOps.Broadcast(maximum);
        var rescale = LaneMath.Exp<TOps, TV>(TOps.Subtract(TOps.Broadcast(scratch.Maximum(query)), center));

        var sums = scratch.Sums(query);
        for (var i = 0; i < GroupSlots; i += TOps.Count)
            TOps.Store(TOps.Multiply(TOps.Load(sums + i), rescale), sums + i);
        for (var i = low; i < high; i += TOps.Count)
        {
            var weight = LaneMath.Exp<TOps, TV>(TOps.Subtract(TOps.Load(scores + i), center));
            TOps.Store(weight, scores + i);
            var sum = sums + (i % GroupSlots);
            TOps.Store(TOps.Add(TOps.Load(sum), weight), sum);
        }

        scratch.Maximum(query) = maximum;
        TOps.Store(rescale, scratch.Rescale(query));
    }
}
