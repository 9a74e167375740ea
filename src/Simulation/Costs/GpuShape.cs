namespace Krewe.Simulation;

/// <summary>What one GPU can do at most, and what it costs.</summary>
/// <param name="Name">As the command line calls it.</param>
/// <param name="MemoryBytes">Device memory.</param>
/// <param name="BytesPerSecond">Peak memory bandwidth.</param>
/// <param name="Bf16FlopsPerSecond">Peak dense tensor throughput.</param>
/// <param name="Fp8FlopsPerSecond">The same at 8 bits; equal to bf16's where the GPU has none.</param>
/// <param name="LinkBytesPerSecond">NVLink (or PCIe) to its node's other GPUs, one direction.</param>
/// <param name="NetworkBytesPerSecond">Its share of the node's network, one direction.</param>
/// <param name="DollarsPerHour">A rental price to multiply with; prices differ widely, so it is an option.</param>
public sealed record GpuShape(
    string Name, long MemoryBytes, double BytesPerSecond, double Bf16FlopsPerSecond, double Fp8FlopsPerSecond,
    double LinkBytesPerSecond, double NetworkBytesPerSecond, double DollarsPerHour)
{
    /// <summary>GPUs that share one node's fast link.</summary>
    public const int PerNode = 8;

    /// <summary>The GPU of that name; <see cref="SimulationException"/> lists those there are.</summary>
    public static GpuShape Find(string name) =>
        All.FirstOrDefault(g => g.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new SimulationException(
            $"No GPU '{name}' in the simulator; there are: {string.Join(", ", All.Select(g => g.Name))}.");

    /// <summary>
    /// Vendor figures as collected in aiconfigurator's systems files (Data/README.md); RTX cards: their data sheets.
    /// </summary>
    public static IReadOnlyList<GpuShape> All { get; } =
    [
        new("h100", 80L << 30, 3.35e12, 989e12, 1979e12, 450e9, 50e9, 2.99),
        new("h200", 141L << 30, 4.8e12, 989e12, 1979e12, 450e9, 50e9, 3.79),
        new("a100", 80L << 30, 2.039e12, 312e12, 312e12, 300e9, 25e9, 1.79),
        new("rtx4090", 24L << 30, 1.008e12, 165e12, 330e12, 32e9, 12.5e9, 0.39),
        new("rtxpro6000", 96L << 30, 1.792e12, 503e12, 1007e12, 64e9, 12.5e9, 1.49),
    ];
}
