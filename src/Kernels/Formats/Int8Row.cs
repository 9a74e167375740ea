namespace Krewe.Kernels;

/// <summary>
/// A row of weights as whole numbers times one scale, symmetric around zero: the largest weight becomes 127 or -127,
/// every other is at most half a scale off. The one place that decides the rounding.
/// </summary>
public static class Int8Row
{
    /// <summary>The largest magnitude; -128 is not used, so that the range is symmetric.</summary>
    public const int Largest = 127;

    /// <summary>0 for a row of zeros (or of numbers too small to have a scale).</summary>
    /// <exception cref="InvalidWeightsException">A weight is infinite or NaN.</exception>
    public static float ScaleOf(ReadOnlySpan<float> row)
    {
        // MathF.Max passes NaN on.
        var largest = 0f;
        foreach (var weight in row)
            largest = MathF.Max(largest, MathF.Abs(weight));
        return float.IsFinite(largest)
            ? largest / Largest
            : throw new InvalidWeightsException("A weight is infinite or not a number.");
    }

    /// <summary>The whole number nearest to weight / scale, ties to even.</summary>
    public static sbyte Round(float weight, float scale) =>
        scale == 0 ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(weight / scale), -Largest, Largest);

    /// <summary>What the kernels compute with in place of <paramref name="row"/>, in place.</summary>
    public static void Apply(Span<float> row)
    {
        var scale = ScaleOf(row);
        foreach (ref var weight in row)
            weight = Round(weight, scale) * scale;
    }
}
