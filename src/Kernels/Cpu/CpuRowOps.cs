using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// What happens to one row between dense products: RMSNorm, rotary positions, SwiGLU. Each number depends on its own
/// row only; tails that do not fill a vector go through the same operations one by one.
/// </summary>
internal static unsafe class CpuRowOps<TOps, TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    /// <summary>target = input / sqrt(mean(input^2) + epsilon) * weight; [count] each, in place allowed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RmsNorm(float* input, float* weight, int count, float epsilon, float* target)
    {
        var scale = 1 / MathF.Sqrt((LaneMath.SumOfSquares(input, count) / count) + epsilon);
        var scales = TOps.Broadcast(scale);
        var i = 0;
        for (; i <= count - TOps.Count; i += TOps.Count)
        {
            var scaled = TOps.Multiply(TOps.Load(input + i), scales);
            TOps.Store(TOps.Multiply(scaled, TOps.Load(weight + i)), target + i);
        }

        for (; i < count; i++)
            target[i] = input[i] * scale * weight[i];
    }

    /// <summary>
    /// Rotates pairs (i, i + half) of one head in place by the row's angles, then multiplies by <paramref
    /// name="scale"/>.
    /// </summary>
    /// <param name="head">[2 * half].</param>
    /// <param name="cosine">[half].</param>
    /// <param name="sine">[half].</param>
    /// <param name="half">Pairs.</param>
    /// <param name="scale">The attention scale for queries, 1 for keys.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(float* head, float* cosine, float* sine, int half, float scale)
    {
        var scales = TOps.Broadcast(scale);
        var i = 0;
        for (; i <= half - TOps.Count; i += TOps.Count)
        {
            var (x, y) = (TOps.Load(head + i), TOps.Load(head + half + i));
            var (c, s) = (TOps.Load(cosine + i), TOps.Load(sine + i));
            var low = TOps.FusedMultiplyAdd(x, c, TOps.Subtract(TOps.Zero, TOps.Multiply(y, s)));
            var high = TOps.FusedMultiplyAdd(y, c, TOps.Multiply(x, s));
            TOps.Store(TOps.Multiply(low, scales), head + i);
            TOps.Store(TOps.Multiply(high, scales), head + half + i);
        }

        for (; i < half; i++)
        {
            var (x, y, c, s) = (head[i], head[half + i], cosine[i], sine[i]);
            head[i] = MathF.FusedMultiplyAdd(x, c, 0 - (y * s)) * scale;
            head[half + i] = MathF.FusedMultiplyAdd(y, c, x * s) * scale;
        }
    }

    /// <summary>target = gate / (1 + e^-gate) * up; <paramref name="count"/> is a multiple of the lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SwiGlu(float* gate, float* up, int count, float* target)
    {
        for (var i = 0; i < count; i += TOps.Count)
        {
            var x = TOps.Load(gate + i);
            var e = LaneMath.Exp<TOps, TV>(TOps.Subtract(TOps.Zero, x));
            var silu = TOps.Divide(x, TOps.Add(TOps.Broadcast(1f), e));
            TOps.Store(TOps.Multiply(silu, TOps.Load(up + i)), target + i);
        }
    }

    /// <summary>weights = e^((logits - maximum) / temperature); <paramref name="count"/> is a multiple of the lanes.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SoftmaxWeights(float* logits, int count, float maximum, float temperature, float* weights)
    {
        for (var i = 0; i < count; i += TOps.Count)
        {
            var distance = TOps.Subtract(TOps.Load(logits + i), TOps.Broadcast(maximum));
            // Divided, not multiplied by the inverse: that is infinite for a tiny temperature, and 0 * infinity NaN.
            var exponent = TOps.Divide(distance, TOps.Broadcast(temperature));
            TOps.Store(LaneMath.Exp<TOps, TV>(exponent), weights + i);
        }
    }
}
