using System.Buffers;
using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Host;

/// <summary>A hold on one block in host memory: its bytes stay as they are until the hold ends.</summary>
public sealed class HostHold : IBlockSource
{
    private readonly HostTier _tier;
    private readonly SlotIndex _index;
    private readonly int _slot;
    private bool _released;

    internal HostHold(HostTier tier, SlotIndex index, int slot, ReadOnlyMemory<byte> memory)
    {
        (_tier, _index, _slot) = (tier, index, slot);
        Memory = memory;
    }

    /// <summary>The block's bytes, page-aligned.</summary>
    public ReadOnlyMemory<byte> Memory { get; }

    /// <summary>Whether the other block's bytes follow this one's without a gap.</summary>
    public bool IsFollowedBy(HostHold next)
    {
        ArgumentNullException.ThrowIfNull(next);
        return _tier == next._tier && _tier.IsBehind(_slot, next._slot);
    }

    /// <summary>
    /// Lends the bytes of this block and those behind it to a copy on the caller's thread, measured as the tier's own.
    /// </summary>
    /// <param name="count">Blocks; each is held and follows the one before.</param>
    public void Lend<T>(int count, T state, ReadOnlySpanAction<byte, T> copy)
    {
        ArgumentNullException.ThrowIfNull(copy);
        ObjectDisposedException.ThrowIf(_released, this);
        _tier.Measured(_tier.Run(_slot, count).Span, state, copy);
    }

    /// <summary>Copies layers out, on the caller's thread.</summary>
    public ValueTask<ReadResult> ReadAsync(
        int firstLayer, int count, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_released, this);
        var layerBytes = _tier.Geometry.LayerBytes;
        _tier.Copy(Memory.Span.Slice(firstLayer * layerBytes, count * layerBytes), destination.Span);
        return ValueTask.FromResult(new ReadResult(ReadOutcome.Hit));
    }

    public void Dispose()
    {
        if (_released) return;
        _released = true;
        _index.Unpin(_slot);
    }
}
