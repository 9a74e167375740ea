using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;

namespace Krewe.Workers;

/// <summary>
/// The source's link to one puller, as the engine sees it. No method blocks; each run given to <see cref="SendBlocks"/>
/// is answered by exactly one <see cref="EngineCommand.SendEnded"/>, also when the link breaks.
/// </summary>
internal interface IPullerLink
{
    /// <summary>
    /// Sends a run's bytes straight from the arena, layer by layer as <paramref name="progress"/> tells of them; null:
    /// all are there.
    /// </summary>
    void SendBlocks(BlockRun run, BlockId[] blocks, StepProgress? progress);

    void SendDone(PrefillDone done);

    /// <summary>Acknowledges the commit and closes.</summary>
    void SendCommitted();

    /// <summary>
    /// Says why the handoff is over and closes, at the latest after a short grace: a hung peer cannot hold a send, and
    /// with it a block. When it returns, whatever the peer still reads of the blocks it knows to be void.
    /// <paramref name="code"/> null: nothing is wrong, there is nothing to hand off.
    /// </summary>
    void SendAbort(ErrorCode? code, string reason);
}
