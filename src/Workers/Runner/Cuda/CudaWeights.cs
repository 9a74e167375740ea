using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>Weights of one transformer layer on a GPU, or one GPU's part of them.</summary>
internal sealed record CudaLayer
{
    /// <summary>[HiddenSize] floats, like every norm.</summary>
    public required nint AttentionNorm { get; init; }

    /// <summary>Outputs in order: query heads, key heads, value heads.</summary>
    public required GpuMatrix QueryKeyValue { get; init; }

    /// <summary>As the outputs of <see cref="QueryKeyValue"/>; 0 where the family has none.</summary>
    public required nint Bias { get; init; }

    /// <summary>[HeadDim]; 0 where the family has none.</summary>
    public required nint QueryNorm { get; init; }

    /// <summary>[HeadDim]; 0 where the family has none.</summary>
    public required nint KeyNorm { get; init; }

    public required GpuMatrix AttentionOutput { get; init; }

    public required nint FeedForwardNorm { get; init; }

    /// <summary>All gates, then all ups.</summary>
    public required GpuMatrix GateUp { get; init; }

    public required GpuMatrix Down { get; init; }
}

/// <summary>A model's weights on one GPU. Owns the memory of all of them.</summary>
internal sealed class CudaWeights(IReadOnlyList<DeviceMemory> parts) : IDisposable
{
    /// <summary>[VocabularySize x EmbeddingStride] elements.</summary>
    public required nint Embedding { get; init; }

    public required int EmbeddingStride { get; init; }

    public required IReadOnlyList<CudaLayer> Layers { get; init; }

    public required nint FinalNorm { get; init; }

    public required GpuMatrix Head { get; init; }

    /// <summary>[MaxPositions x HeadDim / 2] floats, like <see cref="Sine"/>.</summary>
    public required nint Cosine { get; init; }

    public required nint Sine { get; init; }

    /// <summary>Number formats as served, for instance "BF16" or "INT8".</summary>
    public required string Formats { get; init; }

    public void Dispose()
    {
        foreach (var part in parts) part.Dispose();
    }
}
