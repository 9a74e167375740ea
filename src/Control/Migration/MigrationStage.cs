namespace Krewe.Control.Migration;

/// <summary>
/// Stages of moving one running sequence from one decode worker (source) to another (target). Each side has its own
/// stage; the source's may lag the target's, never lead it past <see cref="Frozen"/>.
/// </summary>
/// <remarks>
/// Blocks of the sequence at the freeze, by logical index (KV is append-only, so that nothing is ever sent twice):
/// <code>
/// [0, present)      in the target's prefix cache           -> never travel
/// [present, full)   filled before the freeze               -> travel in rounds, source decodes on
/// [full, blocks)    the growing block, if it has any token -> travels last, after the freeze
/// </code>
/// </remarks>
public enum MigrationStage
{
    /// <summary>
    /// Target has reserved blocks and no link carries anything yet. Source decodes freely; target's blocks are neither
    /// read nor written.
    /// </summary>
    Reserved,

    /// <summary>
    /// Full blocks travel in rounds. Source decodes, writes its growing block and reads full ones to send them; target
    /// writes each block once, in order, and computes nothing. Before a block travels the target has room for it.
    /// </summary>
    Copying,

    /// <summary>
    /// Source has stopped decoding and sends the rest with the tokens that the target does not know. Nobody samples and
    /// nobody writes KV that was computed; both hold their blocks. A watchdog ends it.
    /// </summary>
    Frozen,

    /// <summary>
    /// Target owns the sequence and samples. Source may only free, once no send reads a block any more: a late sample
    /// of its would carry the older epoch and be dropped by the owner of the stream.
    /// </summary>
    Committed,

    /// <summary>
    /// Source has the sequence again and goes on as if nothing had happened (unless it ended there); target frees, once
    /// nothing writes into its blocks. Legal from any stage before <see cref="Committed"/>; nothing leads out of it.
    /// </summary>
    Aborted,
}
