using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// How a whole model's KV block divides among ranks that have some of its heads each. In both, a plane (K or V of a
/// layer) has its heads one after the other; so each rank's plane is one run of the whole plane, and a block that
/// travels is always whole: sender and receiver may have different numbers of ranks.
/// </summary>
public static class KvShards
{
    /// <summary>What one rank keeps.</summary>
    public static KvGeometry Of(in KvGeometry whole, int ranks) => whole with { KvHeads = whole.KvHeads / ranks };

    /// <summary>
    /// The runs of bytes that cover bytes [start, start + length) of a whole block, in order: whose they are, and where
    /// they begin in the rank's own block.
    /// </summary>
    public static IEnumerable<KvRun> Split(KvGeometry whole, int ranks, int start, int length)
    {
        while (length > 0)
        {
            var (rank, at, left) = PlaceOf(whole, ranks, start);
            var bytes = Math.Min(length, left);
            yield return new KvRun(rank, (int)at, bytes);
            (start, length) = (start + bytes, length - bytes);
        }
    }

    /// <summary>
    /// Where a byte of whole blocks that lie one after the other is: whose, how far from the first byte of the rank's
    /// blocks, and how many bytes of the run are left there, itself included.
    /// </summary>
    public static (int Rank, long Start, int Left) PlaceOf(in KvGeometry whole, int ranks, long offset)
    {
        var part = whole.PlaneBytes / ranks;
        var (plane, inPlane) = Math.DivRem(offset, whole.PlaneBytes);
        var (rank, inPart) = Math.DivRem((int)inPlane, part);
        return (rank, (plane * part) + inPart, part - inPart);
    }
}

/// <summary>A run of a rank's block.</summary>
public readonly record struct KvRun(int Rank, int Start, int Length);
