using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>A whole model's weights, packed once at load. The embedding alone stays in the mapped checkpoint: a step
/// reads single rows of it.</summary>
internal sealed class CpuWeights(IReadOnlyList<IDisposable> parts) : IDisposable
{
    /// <summary>[VocabularySize, HiddenSize].</summary>
    public required Tensor Embedding { get; init; }

    public required IReadOnlyList<CpuLayer> Layers { get; init; }

    /// <summary>[HiddenSize].</summary>
    public required NativeArray<float> FinalNorm { get; init; }

    /// <summary>[VocabularySize, HiddenSize]; the embedding again where they are tied.</summary>
    public required PackedMatrix Head { get; init; }

    /// <summary>Number formats of the matrices, for instance "BF16" or "INT8".</summary>
    public required string Formats { get; init; }

    public void Dispose()
    {
        foreach (var part in parts)
            part.Dispose();
    }
}
