using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>Blocks that ranks keep a share of each: outside they are whole.</summary>
internal sealed class ShardedKvArena(IReadOnlyList<CudaKvArena> ranks, KvGeometry whole) : IKvArena
{
    public KvGeometry Geometry { get; } = whole;

    public int BlockCount { get; } = ranks.Min(rank => rank.BlockCount);

    public bool TryGetMemory(BlockId block, out Memory<byte> bytes)
    {
        bytes = default;
        return false;
    }

    public void CopyOut(BlockId block, Span<byte> destination) => CopyOut(block, 0, destination);

    public void CopyIn(BlockId block, ReadOnlySpan<byte> source)
    {
        if (source.Length != Geometry.BlockBytes)
            throw new ArgumentException($"{source.Length} bytes for a block of {Geometry.BlockBytes}.", nameof(source));
        CopyIn(block, 0, source);
    }

    public void CopyOut(BlockId block, int start, Span<byte> destination)
    {
        var at = 0;
        foreach (var run in KvShards.Split(Geometry, ranks.Count, start, destination.Length))
        {
            ranks[run.Rank].CopyOut(block, run.Start, destination.Slice(at, run.Length));
            at += run.Length;
        }
    }

    public void CopyIn(BlockId block, int start, ReadOnlySpan<byte> source)
    {
        var at = 0;
        foreach (var run in KvShards.Split(Geometry, ranks.Count, start, source.Length))
        {
            ranks[run.Rank].CopyIn(block, run.Start, source.Slice(at, run.Length));
            at += run.Length;
        }
    }

    public void Dispose()
    {
        // The ranks own their memory.
    }
}
