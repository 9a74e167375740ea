using Krewe.Control.Migration;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>One running sequence on its way to another worker. Owned by the engine thread.</summary>
internal sealed class OutgoingMigration(Sequence sequence, IMigrationLink link, SequenceKey next, MigrationSource state)
{
    public Sequence Sequence { get; } = sequence;

    public IMigrationLink Link { get; } = link;

    /// <summary>The sequence's key on the target.</summary>
    public SequenceKey Next { get; } = next;

    public MigrationSource State { get; set; } = state;

    /// <summary>Tokens that the target knows; the tail brings those behind them.</summary>
    public required int KnownTokens { get; init; }

    /// <summary>Silence of the target up to which it is waited for.</summary>
    public required TimeSpan LeaseLife { get; init; }

    /// <summary>When the source gives the target up, on the engine's clock.</summary>
    public TimeSpan LeaseEnd { get; set; }

    /// <summary>Blocks that the target had when the source froze.</summary>
    public int SentBeforeFreeze { get; set; }
}
