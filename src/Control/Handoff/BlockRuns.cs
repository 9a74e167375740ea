using System.Collections.Immutable;

namespace Krewe.Control.Handoff;

/// <summary>Neighbouring blocks of a sequence by logical index: [First, End).</summary>
public readonly record struct BlockRun(int First, int Count)
{
    public int End => First + Count;
}

/// <summary>A set of a sequence's blocks: disjoint runs, ascending, none touching the next.</summary>
public sealed class BlockRuns
{
    private BlockRuns(ImmutableArray<BlockRun> runs) => Runs = runs;

    public static BlockRuns None { get; } = new([]);

    public ImmutableArray<BlockRun> Runs { get; }

    /// <summary>Blocks of all runs.</summary>
    public int Count => Runs.Sum(run => run.Count);

    /// <summary>One past the last block; 0 when empty.</summary>
    public int End => Runs.IsEmpty ? 0 : Runs[^1].End;

    /// <summary>Blocks 0 .. <paramref name="blocks"/> - 1.</summary>
    public static BlockRuns Prefix(int blocks) => blocks == 0 ? None : new BlockRuns([new BlockRun(0, blocks)]);

    /// <summary>
    /// The set of these blocks, which must ascend. At most <paramref name="runsMax"/> runs are kept, the first ones:
    /// a set that is told to a peer must fit into a message, and a block left out only travels once more.
    /// </summary>
    public static BlockRuns Of(IEnumerable<int> blocks, int runsMax = int.MaxValue)
    {
        var runs = ImmutableArray.CreateBuilder<BlockRun>();
        foreach (var block in blocks)
        {
            if (runs.Count > 0 && runs[^1].End == block) runs[^1] = runs[^1] with { Count = runs[^1].Count + 1 };
            else if (runs.Count < runsMax) runs.Add(new BlockRun(block, 1));
            else break;
        }

        return new BlockRuns(runs.ToImmutable());
    }

    /// <summary>First and count of each run, as a message carries them.</summary>
    public IEnumerable<uint> ToPairs() => Runs.SelectMany(run => new[] { (uint)run.First, (uint)run.Count });

    /// <summary>Reads what <see cref="ToPairs"/> wrote; null when a peer's numbers are no such set.</summary>
    public static BlockRuns? FromPairs(IReadOnlyList<uint> pairs)
    {
        if (pairs.Count % 2 != 0) return null;
        var runs = ImmutableArray.CreateBuilder<BlockRun>(pairs.Count / 2);
        var end = -1L;
        for (var i = 0; i < pairs.Count; i += 2)
        {
            var (first, count) = (pairs[i], pairs[i + 1]);
            if (first <= end || count == 0 || first + (ulong)count > int.MaxValue) return null;
            end = first + count;
            runs.Add(new BlockRun((int)first, (int)count));
        }

        return new BlockRuns(runs.ToImmutable());
    }

    /// <summary>The first block from <paramref name="block"/> on that is not in the set.</summary>
    public int SkipFrom(int block)
    {
        foreach (var run in Runs)
        {
            if (block < run.First) return block;
            if (block < run.End) return run.End;
        }

        return block;
    }

    /// <summary>
    /// The first block from <paramref name="block"/> on that is in the set, or <paramref name="limit"/> when it comes
    /// first.
    /// </summary>
    public int NextFrom(int block, int limit)
    {
        foreach (var run in Runs)
        {
            if (run.End > block) return Math.Min(limit, Math.Max(block, run.First));
        }

        return limit;
    }
}
