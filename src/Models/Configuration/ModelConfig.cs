namespace Krewe.Models;

/// <summary>
/// A decoder-only transformer as <c>config.json</c> describes it. One record for every supported family (Llama,
/// Mistral, Qwen2, Qwen3): what differs between them is a field here, never a type.
/// </summary>
public sealed record ModelConfig
{
    /// <summary>For example <c>LlamaForCausalLM</c>.</summary>
    public required string Architecture { get; init; }

    /// <summary>For example <c>llama</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>Rows of the embedding and of the output matrix; may exceed the tokenizer's tokens by padding.</summary>
    public required int VocabularySize { get; init; }

    public required int HiddenSize { get; init; }

    /// <summary>Width of the SwiGLU layer.</summary>
    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    /// <summary>Query heads; a multiple of <see cref="KvHeads"/>.</summary>
    public required int Heads { get; init; }

    public required int KvHeads { get; init; }

    /// <summary>Elements of one head, even. Heads x HeadDim need not be HiddenSize (Qwen3).</summary>
    public required int HeadDim { get; init; }

    /// <summary>Longest sequence in tokens, prompt and output together.</summary>
    public required int MaxPositions { get; init; }

    public required float RmsNormEps { get; init; }

    public required RopeSettings Rope { get; init; }

    /// <summary>The output matrix is the embedding matrix; the checkpoint then has no <c>lm_head.weight</c>.</summary>
    public required bool TieEmbeddings { get; init; }

    /// <summary>The q, k and v projections have a bias (Qwen2); the output projection never has one.</summary>
    public required bool AttentionBias { get; init; }

    /// <summary>Each head of q and k passes an RMSNorm of HeadDim before RoPE (Qwen3).</summary>
    public required bool QkNorm { get; init; }

    /// <summary>A position attends to the last this many positions, itself included; null = to all.</summary>
    public int? SlidingWindow { get; init; }

    public int? BosTokenId { get; init; }

    /// <summary>Tokens that end an answer; may be empty.</summary>
    public required IReadOnlyList<int> EosTokenIds { get; init; }

    /// <summary>The type that config.json states (F32 where it states none). Each tensor carries its own.</summary>
    public required DType WeightType { get; init; }

    /// <summary>Reads <c>config.json</c> of a model folder.</summary>
    /// <exception cref="ModelException">The architecture or a field is not supported, missing or
    /// contradictory.</exception>
    public static ModelConfig Load(string directory) =>
        ModelConfigReader.Read(JsonField.Load(Path.Combine(directory, "config.json")));
}
