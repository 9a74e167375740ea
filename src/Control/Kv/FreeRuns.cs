using System.Numerics;

namespace Krewe.Control.Kv;

/// <summary>
/// The free blocks of a pool as runs of neighbours, so that a sequence gets its blocks side by side and leaves and
/// returns in few large copies (FastSwitch's block groups, arXiv 2411.18424, without their reservation: a run begins
/// some blocks behind the one before it, which so has room to grow). Each operation on a run takes constant time;
/// nothing is allocated after construction.
/// </summary>
internal sealed class FreeRuns
{
    /// <summary>Room that is left behind a neighbour, in blocks, where there is twice as much: 1,024 tokens.</summary>
    private const int GrowthBlocks = 64;

    private const int None = -1;

    // By length: list i has the runs of 2^i to 2^(i+1) - 1 blocks, the youngest first.
    private readonly int[] _first = new int[32];

    private readonly Place[] _places;
    private uint _lists;

    /// <summary>All blocks are free.</summary>
    public FreeRuns(int blocks)
    {
        Array.Fill(_first, None);
        _places = new Place[blocks];
        Link(0, blocks);
        Count = blocks;
    }

    /// <summary>Free blocks.</summary>
    public int Count { get; private set; }

    /// <summary>Gives a block back, which was not free.</summary>
    /// <param name="joinsBefore">The block before it is free.</param>
    /// <param name="joinsBehind">The block behind it is free.</param>
    public void Add(int block, bool joinsBefore, bool joinsBehind)
    {
        var (start, length) = (block, 1);
        if (joinsBefore)
        {
            var before = _places[block - 1].Length;
            (start, length) = (block - before, length + before);
            Unlink(start);
        }

        if (joinsBehind)
        {
            length += _places[block + 1].Length;
            Unlink(block + 1);
        }

        Link(start, length);
        Count++;
    }

    /// <summary>
    /// Takes up to <paramref name="blocks"/> neighbours: those from <paramref name="start"/> on, which is the first of
    /// a run.
    /// </summary>
    /// <returns>How many.</returns>
    public int TakeFrom(int start, int blocks)
    {
        var length = _places[start].Length;
        var taken = Math.Min(length, blocks);
        Unlink(start);
        if (taken < length) Link(start + taken, length - taken);
        Count -= taken;
        return taken;
    }

    /// <summary>Takes up to <paramref name="blocks"/> neighbours out of one of the longest runs.</summary>
    /// <returns>The first of them, and how many.</returns>
    public (int Start, int Count) Take(int blocks)
    {
        var start = _first[BitOperations.Log2(_lists)];
        var length = _places[start].Length;
        Unlink(start);
        var taken = Math.Min(length, blocks);
        var skipped = start == 0 ? 0 : Math.Min(GrowthBlocks, (length - taken) / 2);
        if (skipped > 0) Link(start, skipped);
        if (skipped + taken < length) Link(start + skipped + taken, length - skipped - taken);
        Count -= taken;
        return (start + skipped, taken);
    }

    /// <summary>First block and length of every run, in no order.</summary>
    public IEnumerable<(int Start, int Length)> Runs()
    {
        foreach (var first in _first)
        {
            for (var start = first; start != None; start = _places[start].Next)
                yield return (start, _places[start].Length);
        }
    }

    private void Link(int start, int length)
    {
        ref var place = ref _places[start];
        _places[start + length - 1].Length = place.Length = length;
        ref var first = ref _first[BitOperations.Log2((uint)length)];
        (place.Next, place.Previous) = (first, None);
        if (first != None) _places[first].Previous = start;
        first = start;
        _lists |= 1u << BitOperations.Log2((uint)length);
    }

    private void Unlink(int start)
    {
        var (length, next, previous) = _places[start];
        var list = BitOperations.Log2((uint)length);
        if (next != None) _places[next].Previous = previous;
        if (previous != None) _places[previous].Next = next;
        else if ((_first[list] = next) == None) _lists &= ~(1u << list);
    }

    /// <summary>What is known of a block; together, for a pool is larger than a processor's cache.</summary>
    /// <param name="Length">Of a run's first and last block: the run's length.</param>
    /// <param name="Next">Of a run's first block: the next in its list.</param>
    /// <param name="Previous">The same the other way.</param>
    private record struct Place(int Length, int Next, int Previous);
}
