namespace Krewe.Simulation;

/// <summary>A sample's mean and percentiles, in its own unit. Empty samples give zeros.</summary>
public sealed record Percentiles(double Mean, double P50, double P90, double P99, double Max)
{
    /// <summary>Sorts <paramref name="values"/>.</summary>
    public static Percentiles Of(double[] values)
    {
        if (values.Length == 0) return new Percentiles(0, 0, 0, 0, 0);
        Array.Sort(values);
        return new Percentiles(values.Average(), At(values, 0.5), At(values, 0.9), At(values, 0.99), values[^1]);
    }

    /// <summary>Linear between the two nearest ranks, as numpy's default.</summary>
    public static double At(double[] sorted, double share)
    {
        if (sorted.Length == 0) return 0;
        var rank = share * (sorted.Length - 1);
        var below = (int)rank;
        return sorted[below] + ((rank - below) * (sorted[Math.Min(below + 1, sorted.Length - 1)] - sorted[below]));
    }
}
