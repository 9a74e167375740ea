using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// The engine's door to arithmetic. Owned by one engine thread. The bits of a row's logits and of its K and V depend
/// only on the model, the tokens before it and <see cref="Numerics"/>: never on other rows, chunking, blocks or
/// threads.
/// </summary>
public interface IModelRunner : IDisposable
{
    int VocabularySize { get; }

    /// <summary>Longest context in tokens that the model's positions allow.</summary>
    int MaxContextTokens { get; }

    NumericsFingerprint Numerics { get; }

    /// <summary>The KV memory that <see cref="Run"/> reads and writes.</summary>
    IKvArena Kv { get; }

    /// <summary>
    /// Computes K and V of every row into the arena and the logits of <see cref="StepBatch.LogitRows"/> into
    /// <see cref="StepBatch.Logits"/>. Token ids must be below <see cref="VocabularySize"/>. Allocates nothing in
    /// steady state.
    /// </summary>
    void Run(StepBatch batch);
}
