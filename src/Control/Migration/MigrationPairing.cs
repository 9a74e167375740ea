using System.Collections.Immutable;

namespace Krewe.Control.Migration;

/// <summary>A worker that lets sequences go, and the one that takes them.</summary>
/// <param name="Reason">Why, in words an operator can read.</param>
public sealed record MigrationPair(WorkerUsage Source, WorkerUsage Target, string Reason);

/// <summary>One running sequence that may move.</summary>
/// <param name="RequestId">The request that owns it.</param>
/// <param name="Blocks">Blocks it holds, the growing one included.</param>
/// <param name="Priority">Higher moves later.</param>
/// <param name="IsSettled">It did not come by migration within the cool-down.</param>
public readonly record struct MovableSequence(string RequestId, int Blocks, int Priority, bool IsSettled);

/// <summary>Who gives to whom, and which sequence. Pure; equal inputs give equal answers.</summary>
public static class MigrationPairing
{
    /// <summary>
    /// Pairs the least free giver with the freest taker, then the next two, until one side is used up (Llumnix section
    /// 4.4). Only workers of equal numerics are paired; a worker with its share of migrations under way waits.
    /// </summary>
    public static ImmutableArray<MigrationPair> Pair(ImmutableArray<WorkerUsage> workers, MigrationPolicy policy)
    {
        var idle = workers.Where(worker => worker.Migrations < policy.MigrationsPerWorkerMax)
            .Select(worker => (Worker: worker, Freeness: Freeness.Of(worker, policy.HeadroomBlocks)))
            .ToArray();
        var givers = idle
            .Where(entry => entry.Freeness < policy.OutBelow && entry.Worker.RunningSequences > 0)
            .OrderBy(entry => entry.Freeness).ThenBy(entry => entry.Worker.Worker.WorkerId, StringComparer.Ordinal);

        // A drain does not wait for plenty: any worker that is not itself in need will do.
        var isDraining = idle.Any(entry => entry.Worker.IsDraining);
        var takers = idle
            .Where(entry => entry.Worker is { TakesSequences: true, IsDraining: false }
                && entry.Freeness > (isDraining ? policy.OutBelow : policy.InAbove))
            .OrderByDescending(entry => entry.Freeness)
            .ThenBy(entry => entry.Worker.Worker.WorkerId, StringComparer.Ordinal)
            .ToList();
        var pairs = ImmutableArray.CreateBuilder<MigrationPair>();
        foreach (var (giver, freeness) in givers)
        {
            var taker = takers.FindIndex(entry => entry.Worker.Numerics == giver.Numerics
                && (giver.IsDraining || entry.Freeness > policy.InAbove));
            if (taker < 0) continue;
            pairs.Add(new MigrationPair(giver, takers[taker].Worker, Explain(giver, freeness, takers[taker].Freeness)));
            takers.RemoveAt(taker);
        }

        return pairs.ToImmutable();
    }

    /// <summary>
    /// The sequence to move: lowest priority first, then the shortest, since it costs least. For balance only when the
    /// two workers are closer to each other after it than before, and it has not just come; off a draining worker
    /// whenever the target has room.
    /// </summary>
    public static MovableSequence? Choose(
        MigrationPair pair, IEnumerable<MovableSequence> sequences, MigrationPolicy policy)
    {
        foreach (var sequence in sequences
            .OrderBy(sequence => sequence.Priority).ThenBy(sequence => sequence.Blocks)
            .ThenBy(sequence => sequence.RequestId, StringComparer.Ordinal))
        {
            // One more than it holds: the growing block may be full by the time it arrives.
            if (sequence.Blocks + 1 > pair.Target.FreeBlocks) continue;
            if (pair.Source.IsDraining || (sequence.IsSettled && Balances(pair, sequence.Blocks, policy)))
                return sequence;
        }

        return null;
    }

    private static bool Balances(MigrationPair pair, int blocks, MigrationPolicy policy)
    {
        var headroom = policy.HeadroomBlocks;
        var target = Freeness.After(pair.Target, blocks, headroom);
        var before = Freeness.Of(pair.Target, headroom) - Freeness.Of(pair.Source, headroom);
        var after = target - Freeness.After(pair.Source, -blocks, headroom);
        return target >= policy.OutBelow && Math.Abs(after) < before;
    }

    private static string Explain(WorkerUsage giver, double freeness, double takersFreeness)
    {
        if (giver.IsDraining) return $"{giver.Worker.WorkerId} drains";
        var cause = giver.HeadOfLineBlocks > 0 ? $", {giver.HeadOfLineBlocks} blocks are waited for"
            : giver.PriorityMax > 0 ? $", priority {giver.PriorityMax} runs there"
            : "";
        return FormattableString.Invariant(
            $"{giver.Worker.WorkerId} has {freeness:F1} free blocks a sequence{cause}; the taker {takersFreeness:F1}");
    }
}
