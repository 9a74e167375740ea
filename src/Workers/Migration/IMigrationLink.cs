using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// The source's link to the target of one migration, as the engine sees it. No method blocks; each block given to <see
/// cref="SendBlock"/> is answered by exactly one <see cref="EngineCommand.Migration.BlockSent"/>, also when the link
/// breaks.
/// </summary>
internal interface IMigrationLink
{
    /// <summary>Sends one block's bytes straight from the arena.</summary>
    void SendBlock(int index, BlockId block);

    /// <summary>Asks the target to reserve this many blocks in all.</summary>
    void AskRoom(int blocks);

    /// <summary>Sends tokens, in messages that each fit a frame, and behind them the tail.</summary>
    void SendTail(IReadOnlyList<MigrateTokens> tokens, MigrateTail tail);

    /// <summary>Acknowledges the commit and closes.</summary>
    void SendCommitted();

    /// <summary>Says why the migration is over and closes soon, whether the peer reads or not.</summary>
    void SendAbort(ErrorCode? code, string reason);
}
