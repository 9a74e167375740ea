using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// The source's link to one puller, as the engine sees it. No method blocks; each block given to <see
/// cref="SendBlock"/> is answered by exactly one <see cref="EngineCommand.SendEnded"/>, also when the link breaks.
/// </summary>
internal interface IPullerLink
{
    /// <summary>Sends one block's bytes straight from the arena.</summary>
    void SendBlock(int index, BlockId block);

    void SendDone(PrefillDone done);

    /// <summary>Acknowledges the commit and closes.</summary>
    void SendCommitted();

    /// <summary>
    /// Says why the handoff is over and closes, at the latest after a short grace: a hung peer cannot hold a send, and
    /// with it a block. <paramref name="code"/> null: nothing is wrong, there is nothing to hand off.
    /// </summary>
    void SendAbort(ErrorCode? code, string reason);
}
