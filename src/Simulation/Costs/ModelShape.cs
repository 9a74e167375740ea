namespace Krewe.Simulation;

/// <summary>What a dense decoder's size follows from. Weights and KV in bytes of their formats.</summary>
/// <param name="Name">As the command line and published tables call it.</param>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads.</param>
/// <param name="HeadDim">Width of one head.</param>
/// <param name="Intermediate">Width of the feed-forward layer.</param>
/// <param name="FeedForwardMatrices">3 with a gate (SwiGLU), 2 without (OPT).</param>
/// <param name="Vocabulary">Rows of the output matrix.</param>
/// <param name="ContextTokens">Longest context it was trained for.</param>
public sealed record ModelShape(
    string Name, int Layers, int Hidden, int Heads, int KvHeads, int HeadDim, int Intermediate,
    int FeedForwardMatrices, int Vocabulary, int ContextTokens)
{
    /// <summary>Parameters of all layers: attention and feed-forward products.</summary>
    public long LayerParameters => Layers * (
        ((long)Hidden * HeadDim * ((2 * Heads) + (2 * KvHeads))) + ((long)FeedForwardMatrices * Hidden * Intermediate));

    /// <summary>All parameters, input and output embedding included.</summary>
    public long Parameters => LayerParameters + (2L * Vocabulary * Hidden);

    /// <summary>K and V of one token over all layers at 2 bytes a number.</summary>
    public long KvBytesPerToken => 2L * 2 * Layers * KvHeads * HeadDim;

    /// <summary>The model of that name; <see cref="SimulationException"/> lists those there are.</summary>
    public static ModelShape Find(string name) =>
        All.FirstOrDefault(m => m.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new SimulationException(
            $"No model '{name}' in the simulator; there are: {string.Join(", ", All.Select(m => m.Name))}.");

    /// <summary>Published configurations (each model's config.json).</summary>
    public static IReadOnlyList<ModelShape> All { get; } =
    [
        new("llama-3.1-8b", 32, 4096, 32, 8, 128, 14_336, 3, 128_256, 131_072),
        new("llama-3.1-70b", 80, 8192, 64, 8, 128, 28_672, 3, 128_256, 131_072),
        new("qwen3-32b", 64, 5120, 64, 8, 128, 25_600, 3, 151_936, 131_072),
        new("qwen2.5-7b", 28, 3584, 28, 4, 128, 18_944, 3, 152_064, 131_072),
        new("mistral-7b", 32, 4096, 32, 8, 128, 14_336, 3, 32_000, 32_768),
        new("yi-34b", 60, 7168, 56, 8, 128, 20_480, 3, 64_000, 32_768),
        new("llama-2-70b", 80, 8192, 64, 8, 128, 28_672, 3, 32_000, 16_384),
        new("llama-7b", 32, 4096, 32, 32, 128, 11_008, 3, 32_000, 8192),
        new("llama-30b", 60, 6656, 52, 52, 128, 17_920, 3, 32_000, 8192),
        new("opt-13b", 40, 5120, 40, 40, 128, 20_480, 2, 50_272, 8192),
        new("opt-66b", 64, 9216, 72, 72, 128, 36_864, 2, 50_272, 8192),
        new("opt-175b", 96, 12_288, 96, 96, 128, 49_152, 2, 50_272, 8192),
    ];
}
