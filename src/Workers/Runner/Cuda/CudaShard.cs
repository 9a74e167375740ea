using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// One GPU's part of a model that several compute together: whole heads and a share of the feed-forward width; products
/// from these back to the hidden size give partial sums, which ranks exchange.
/// </summary>
internal readonly record struct CudaShard(int Rank, int Ranks)
{
    public static CudaShard Whole => new(0, 1);

    /// <summary>Of <paramref name="count"/> heads, columns or rows: which are this rank's.</summary>
    public (int First, int Count) Of(int count) => (count / Ranks * Rank, count / Ranks);

    /// <exception cref="KreweException">The model cannot be divided among so many.</exception>
    public static void Demand(ModelConfig config, int ranks)
    {
        if (config.KvHeads % ranks == 0 && config.Heads % ranks == 0 && config.IntermediateSize % ranks == 0) return;
        throw new KreweException(
            ErrorCode.InvalidOptions, $"--cuda-devices names {ranks} GPUs; this model has {config.KvHeads} KV heads, "
                + $"{config.Heads} heads and a width of {config.IntermediateSize}, which must be multiples of it.");
    }
}
