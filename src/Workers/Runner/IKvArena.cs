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
}
