namespace Krewe.Control.Handoff;

/// <summary>
/// Stages of moving one sequence's KV from the prefill worker (source) to the decode worker (target). Each side has its
/// own stage; the source's may lag the target's, never lead it past <see cref="Frozen"/>.
/// </summary>
public enum HandoffStage
{
    /// <summary>
    /// Both sides hold blocks and nothing has been copied. Source writes its blocks (prefill runs or is done); nobody
    /// reads them. Target's blocks are neither read nor written.
    /// </summary>
    Reserved,

    /// <summary>
    /// Blocks travel. Source still writes the growing tail and, of the chunk under way, the layers that have not been
    /// offered; it reads what was offered to send it. Target writes each block once, in order, and reads none. Only the
    /// source computes.
    /// </summary>
    Copying,

    /// <summary>
    /// Source has sent everything, first token included; target has not yet committed. Nobody computes and nobody
    /// writes. Both still hold their blocks.
    /// </summary>
    Frozen,

    /// <summary>
    /// Target owns the sequence and computes. Source may only free, once no send reads a block any more.
    /// </summary>
    Committed,

    /// <summary>
    /// Nobody computes this attempt. Each side frees, once no transfer touches its blocks. Legal from any stage before
    /// <see cref="Committed"/>; nothing leads out of it.
    /// </summary>
    Aborted,
}
