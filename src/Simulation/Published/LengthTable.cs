namespace Krewe.Simulation;

/// <summary>A published distribution of lengths: its mean and percentiles, tokens.</summary>
/// <param name="Name">As the paper calls it.</param>
public sealed record LengthTable(string Name, double Mean, double P50, double P80, double P95, double P99)
{
    /// <summary>Llumnix caps its sequences at 6k tokens.</summary>
    private const double Longest = 6144;

    private static readonly double[] Shares = [0, 0.5, 0.8, 0.95, 0.99, 1];

    /// <summary>Llumnix (OSDI'24), table 1: the lengths of its traces.</summary>
    public static IReadOnlyList<LengthTable> Llumnix { get; } =
    [
        new("ShareGPT in", 306, 74, 348, 1484, 3388), new("ShareGPT out", 500, 487, 781, 988, 1234),
        new("BurstGPT in", 830, 582, 1427, 2345, 3549), new("BurstGPT out", 271, 243, 434, 669, 964),
        new("Short", 128, 38, 113, 413, 1464), new("Medium", 256, 32, 173, 1288, 4208),
        new("Long", 512, 55, 582, 3113, 5166),
    ];

    /// <summary>
    /// One length: between two percentiles its logarithm is uniform, which is a power law's piece.
    /// </summary>
    public int Draw(SeededRandom random)
    {
        ReadOnlySpan<double> values = [1, P50, P80, P95, P99, Longest];
        var share = random.NextDouble();
        var i = 1;
        while (share > Shares[i]) i++;
        var part = (share - Shares[i - 1]) / (Shares[i] - Shares[i - 1]);
        return Math.Max(1, (int)Math.Round(values[i - 1] * Math.Pow(values[i] / values[i - 1], part)));
    }

    /// <summary>Prompts of this table with outputs of another, as the paper's S-S, M-M, L-L, S-L and L-S.</summary>
    public Trace Pairs(LengthTable outputs, int count, ulong seed)
    {
        var random = new SeededRandom(seed);
        var requests = new List<TraceRequest>(count);
        for (var i = 0; i < count; i++) requests.Add(new TraceRequest(0, Draw(random), outputs.Draw(random)));
        return new Trace($"{Name}-{outputs.Name}", requests, [], 1);
    }
}
