using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Migration;

/// <summary>The target's side of one migration. It reserved blocks for the context known so far before it
/// began.</summary>
public sealed record MigrationTarget
{
    public required MigrationStage Stage { get; init; }

    /// <summary>Next block to arrive; those before it are here.</summary>
    public required int Next { get; init; }

    /// <summary>Blocks that are reserved, from the first.</summary>
    public required int Room { get; init; }

    /// <summary>Blocks that the source may have on their way at once.</summary>
    public required int Window { get; init; }

    /// <summary>True while the link may still write into a block.</summary>
    public bool Receiving { get; init; }

    /// <summary>True once the blocks were given back: exactly once, only after an abort, never while
    /// receiving.</summary>
    public bool Freed { get; init; }

    /// <summary>A target that has reserved <paramref name="room"/> blocks and holds the first
    /// <paramref name="present"/>.</summary>
    public static MigrationTarget Begin(int present, int room, int window) =>
        new() { Stage = MigrationStage.Reserved, Next = present, Room = room, Window = window };
}

/// <summary>What happens to the target.</summary>
public abstract record MigrationTargetEvent
{
    private MigrationTargetEvent()
    {
    }

    /// <summary>The link to the source is up: bytes may arrive.</summary>
    public sealed record LinkUp : MigrationTargetEvent;

    /// <summary>A block arrived whole and its checksum holds.</summary>
    public sealed record BlockArrived(int Index) : MigrationTargetEvent;

    /// <summary>The source has grown: it wants room for <paramref name="Blocks"/> in all.</summary>
    public sealed record RoomAsked(int Blocks) : MigrationTargetEvent;

    /// <summary>The pool gave it: <paramref name="Room"/> blocks are reserved.</summary>
    public sealed record RoomReserved(int Room) : MigrationTargetEvent;

    /// <summary>The pool has no room for more.</summary>
    public sealed record RoomRefused(string Reason) : MigrationTargetEvent;

    /// <summary>The source is frozen and has sent everything: KV in <paramref name="Blocks"/> blocks.</summary>
    public sealed record TailArrived(int Blocks) : MigrationTargetEvent;

    /// <summary>The link is closed: nothing writes into a block any more.</summary>
    public sealed record LinkClosed : MigrationTargetEvent;

    /// <summary>It cannot or need not go on: abort by the source or the owner, silence, damage, link loss.</summary>
    /// <param name="Code">Null when nothing is wrong.</param>
    public sealed record Ended(ErrorCode? Code, string Reason) : MigrationTargetEvent;
}

/// <summary>What the target must do now, in this order.</summary>
public abstract record MigrationTargetEffect
{
    private MigrationTargetEffect()
    {
    }

    /// <summary>Tell the source what is here and what there is room for.</summary>
    public sealed record TellProgress(int Received, int Room) : MigrationTargetEffect;

    /// <summary>
    /// Reserve this many blocks in all; answer with <see cref="MigrationTargetEvent.RoomReserved"/> or
    /// <see cref="MigrationTargetEvent.RoomRefused"/>.
    /// </summary>
    public sealed record Reserve(int Blocks) : MigrationTargetEffect;

    /// <summary>Tell owner and source that this worker owns the sequence, and begin to compute.</summary>
    public sealed record Commit : MigrationTargetEffect;

    /// <summary>Tell the source that it is over, and close the link.</summary>
    public sealed record SendAbort(ErrorCode? Code, string Reason) : MigrationTargetEffect;

    /// <summary>Give the reserved blocks back.</summary>
    public sealed record Free : MigrationTargetEffect;
}

/// <summary>The target after an event, and what it must do.</summary>
public readonly record struct MigrationTargetStep(
    MigrationTarget State, ImmutableArray<MigrationTargetEffect> Effects);
