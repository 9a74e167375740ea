using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// Who gave the engine a sequence and gets what comes of it: a silo's link, or the caller of a local run. Called on the
/// engine thread, in order; must not block.
/// </summary>
internal interface ISequenceOwner
{
    /// <summary>
    /// New tokens of this owner's sequences: those of one step that no state change comes between. The owner has the
    /// batch from now on.
    /// </summary>
    void Deliver(TokenBatch tokens);

    /// <summary>An empty batch to fill. An owner may give out one that it has done with.</summary>
    TokenBatch TakeBatch() => new();

    /// <summary>An empty run for a batch.</summary>
    TokenRun TakeRun() => new();

    /// <summary>A state change of one sequence. RELEASED is the last one of a key.</summary>
    void Deliver(SequenceEvent change);
}
