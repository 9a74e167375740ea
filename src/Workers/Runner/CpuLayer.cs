using Krewe.Kernels;

namespace Krewe.Workers;

/// <summary>Weights of one transformer layer, packed for the CPU kernels. Owned by <see cref="CpuWeights"/>.</summary>
internal sealed record CpuLayer
{
    /// <summary>[HiddenSize].</summary>
    public required NativeArray<float> AttentionNorm { get; init; }

    /// <summary>Outputs in order: all query heads, all key heads, all value heads.</summary>
    public required PackedMatrix QueryKeyValue { get; init; }

    /// <summary>[HeadDim]; null where the family has none.</summary>
    public required NativeArray<float>? QueryNorm { get; init; }

    /// <summary>[HeadDim]; null where the family has none.</summary>
    public required NativeArray<float>? KeyNorm { get; init; }

    public required PackedMatrix AttentionOutput { get; init; }

    /// <summary>[HiddenSize].</summary>
    public required NativeArray<float> FeedForwardNorm { get; init; }

    /// <summary>Panels alternate: gate, up, gate, up, so that the two factors of an output are computed
    /// together.</summary>
    public required PackedMatrix GateUp { get; init; }

    public required PackedMatrix Down { get; init; }
}
