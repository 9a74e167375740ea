using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// The bytes of a worker's KV pool. Who may read or write which block is Control's business (BlockPool); this is only
/// memory. Thread-safe for disjoint blocks.
/// </summary>
public interface IKvArena : IDisposable
{
    KvGeometry Geometry { get; }

    int BlockCount { get; }

    /// <summary>The block's bytes where the host can address them (CPU arena); false for device memory.</summary>
    bool TryGetMemory(BlockId block, out Memory<byte> bytes);

    /// <summary>Copies a block out; <paramref name="destination"/> has <see cref="KvGeometry.BlockBytes"/>
    /// bytes.</summary>
    void CopyOut(BlockId block, Span<byte> destination);

    /// <summary>Copies a block in; <paramref name="source"/> has <see cref="KvGeometry.BlockBytes"/> bytes.</summary>
    void CopyIn(BlockId block, ReadOnlySpan<byte> source);

    /// <summary>Copies the block's bytes from <paramref name="start"/> on out.</summary>
    void CopyOut(BlockId block, int start, Span<byte> destination);

    /// <summary>Copies bytes into the block, from its byte <paramref name="start"/> on.</summary>
    void CopyIn(BlockId block, int start, ReadOnlySpan<byte> source);

    /// <summary>Copies <paramref name="count"/> neighbouring blocks out, side by side; in one copy where that can be.
    /// </summary>
    void CopyRunOut(BlockId first, int count, Span<byte> destination)
    {
        for (var i = 0; i < count; i++)
            CopyOut(new BlockId(first.Value + i), destination.Slice(i * Geometry.BlockBytes, Geometry.BlockBytes));
    }

    /// <summary>Copies what lies side by side into <paramref name="count"/> neighbouring blocks.</summary>
    void CopyRunIn(BlockId first, int count, ReadOnlySpan<byte> source)
    {
        for (var i = 0; i < count; i++)
            CopyIn(new BlockId(first.Value + i), source.Slice(i * Geometry.BlockBytes, Geometry.BlockBytes));
    }
}
