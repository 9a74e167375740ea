using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Microsoft.Win32.SafeHandles;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers;

/// <summary>Blocks that ranks keep a share of each: outside they are whole.</summary>
internal sealed class ShardedKvArena(IReadOnlyList<CudaKvArena> ranks, KvGeometry whole) : IDeviceKvArena
{
    private readonly CudaSharing _sharing = new(ranks, whole);

    public SharedMemory? Shared => _sharing.Shared;

    public IReadOnlyList<DevicePart> Offered => _sharing.Offered;

    public IReadOnlyList<SafeFileHandle> Files => _sharing.Files;

    public KvGeometry Geometry { get; } = whole;

    public int BlockCount { get; } = ranks.Min(rank => rank.BlockCount);

    /// <summary>Makes it possible for others to open the memory; the reason when it is not.</summary>
    public string? Share() => _sharing.Share();

    public void WaitUntilStored(ReadOnlySpan<BlockSlice> slices)
    {
        foreach (var rank in ranks) rank.WaitUntilStored(slices, Geometry);
    }

    public IPeerDevice? TryOpen(SharedOffer offer, ReadOnlySpan<SafeFileHandle> files, out string reason) =>
        _sharing.TryOpen(offer, files, out reason);

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

    /// <summary>What is offered ends; the ranks own their memory.</summary>
    public void Dispose() => _sharing.Dispose();
}
