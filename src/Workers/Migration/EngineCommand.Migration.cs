using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>What migration's links tell the engine thread.</summary>
internal abstract partial record EngineCommand
{
    public abstract record Migration : EngineCommand
    {
        private Migration()
        {
        }

        /// <summary>Source: a target wants this sequence.</summary>
        public sealed record TargetArrived(IMigrationLink Link, MigrateHello Hello) : Migration;

        /// <summary>
        /// Source: the target lives; with counts, it has the first <paramref name="Received"/> blocks and room for
        /// <paramref name="Room"/>.
        /// </summary>
        public sealed record TargetSign(IMigrationLink Link, SequenceKey Source, int Received, int Room) : Migration;

        /// <summary>Source: the target owns the sequence.</summary>
        public sealed record TargetCommitted(IMigrationLink Link, SequenceKey Source) : Migration;

        /// <summary>Source: the target gave up or its link broke.</summary>
        public sealed record TargetLost(IMigrationLink Link, SequenceKey Source, ErrorCode? Code, string Reason)
            : Migration;

        /// <summary>Source: one send reads its block no more.</summary>
        public sealed record BlockSent(IMigrationLink Link, SequenceKey Source) : Migration;

        /// <summary>
        /// Target: the source has grown. <paramref name="Answer"/> gets every reserved block, or null for no room.
        /// </summary>
        public sealed record RoomAsked(SequenceKey Key, int Blocks, Action<BlockId[]?> Answer) : Migration;

        /// <summary>
        /// Target: everything is here. <paramref name="Answer"/> gets true when the engine has taken the sequence over:
        /// only then may the source hear of a commit.
        /// </summary>
        public sealed record Arrived(SequenceKey Key, MigratedState State, Action<bool> Answer) : Migration;

        /// <summary>Target: it did not come, and nothing writes into its blocks any more.</summary>
        public sealed record Aborted(SequenceKey Key, ErrorCode? Code, string Reason) : Migration;
    }
}
