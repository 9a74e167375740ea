using System.Buffers;
using Krewe.Abstractions;
using Krewe.KvStore.Memory;
using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Host;

/// <summary>Counts of a host tier since it was made.</summary>
public readonly record struct HostTierStatistics(
    int Objects, int CapacityObjects, long Hits, long Misses, long Stored, long Evictions);

/// <summary>
/// KV blocks in host memory, between device and disk: a fixed number of page-aligned native slots, least recently used
/// out first, held ones never. Copies run outside the lock. Safe for use from any thread.
/// </summary>
public sealed class HostTier : IDisposable
{
    private const int RegionBytesMax = 1 << 30;
    private const long AssumedBytesPerSecond = 5L << 30;

    private readonly SlotIndex _index;
    private readonly List<NativeBuffer> _regions = [];
    private readonly int _slotBytes;
    private readonly int _slotsPerRegion;
    private readonly BandwidthMeter _meter;
    private long _hits;
    private long _misses;
    private long _stored;
    private long _evictions;

    /// <param name="capacityBytes">Memory to use at most; untouched pages cost nothing.</param>
    /// <param name="evictionSample">As in the SSD store: 1 is plain LRU.</param>
    /// <param name="time">Measures the copies; null for the system's time.</param>
    /// <exception cref="KvStoreException">The capacity holds no block.</exception>
    public HostTier(KvGeometry geometry, long capacityBytes, int evictionSample = 1, TimeProvider? time = null)
    {
        _meter = new BandwidthMeter(AssumedBytesPerSecond, time ?? TimeProvider.System);
        Geometry = geometry;
        _slotBytes = (int)Page.RoundUp(geometry.BlockBytes);
        var slots = (int)Math.Min(int.MaxValue / 2, capacityBytes / _slotBytes);
        if (slots < 1)
        {
            throw new KvStoreException(
                KvStoreError.InvalidOptions,
                $"The host tier has {capacityBytes:N0} bytes; one block takes {_slotBytes:N0}. "
                + "Give it more or leave it out.");
        }

        _index = new SlotIndex(slots, evictionSample);
        _slotsPerRegion = Math.Max(1, RegionBytesMax / _slotBytes);
        for (var first = 0; first < slots; first += _slotsPerRegion)
            _regions.Add(new NativeBuffer(Math.Min(_slotsPerRegion, slots - first) * _slotBytes));
    }

    public KvGeometry Geometry { get; }

    /// <summary>The tier's memory, so that a device can register it.</summary>
    public IReadOnlyList<NativeBuffer> Regions => _regions;

    public HostTierStatistics Statistics => new(
        _index.Objects, _index.Capacity, Interlocked.Read(ref _hits), Interlocked.Read(ref _misses),
        Interlocked.Read(ref _stored), Interlocked.Read(ref _evictions));

    /// <summary>Bytes a second of copies out of the tier; assumed until enough were measured.</summary>
    public double BytesPerSecond => _meter.BytesPerSecond;

    /// <summary>Told of each key that leaves to make room, outside the lock.</summary>
    public Action<BlockKey>? Evicted { get; set; }

    /// <summary>Keys of all blocks here, any order.</summary>
    public IReadOnlyList<BlockKey> Keys => _index.Keys;

    public bool Contains(BlockKey key) => _index.Contains(key);

    /// <summary>Copies a block in, evicting the least recently used one that nobody holds.</summary>
    public PutOutcome Put(BlockKey key, ReadOnlySpan<byte> payload, float recomputeSeconds = 0)
    {
        CheckLength(payload.Length, nameof(payload));
        return Put(key, payload, static (slot, bytes) => bytes.CopyTo(slot), recomputeSeconds);
    }

    /// <summary>As above; <paramref name="fill"/> writes the block's bytes into its place, without a copy between.
    /// </summary>
    public PutOutcome Put<T>(BlockKey key, T state, SpanAction<byte, T> fill, float recomputeSeconds = 0)
        where T : allows ref struct
    {
        switch (_index.TryReserve(key, replace: false, out var slot, out var victim))
        {
            case ReserveOutcome.AlreadyPresent:
                return PutOutcome.AlreadyPresent;
            case ReserveOutcome.BeingWritten:
                return PutOutcome.BeingWritten;
            case ReserveOutcome.NoRoom:
                return PutOutcome.NoRoom;
            default:
                if (victim is { } gone) NoteEviction(gone);
                fill(Slot(slot).Span, state);
                _index.Publish(slot, recomputeSeconds);
                Interlocked.Increment(ref _stored);
                return PutOutcome.Stored;
        }
    }

    /// <summary>Copies a block out. False when it is not here; the destination is untouched then.</summary>
    public bool TryGet(BlockKey key, Span<byte> destination)
    {
        CheckLength(destination.Length, nameof(destination));
        using var hold = TryHold(key);
        if (hold is null) return false;
        Copy(hold.Memory.Span, destination);
        return true;
    }

    /// <summary>
    /// Holds a block in place for reading without a copy; null when it is not here. Dispose ends the hold.
    /// </summary>
    public HostHold? TryHold(BlockKey key)
    {
        if (!_index.TryPin(key, out var slot))
        {
            Interlocked.Increment(ref _misses);
            return null;
        }

        Interlocked.Increment(ref _hits);
        return new HostHold(this, _index, slot, Slot(slot));
    }

    /// <summary>As <see cref="TryHold"/>, for a copy down: counts as no hit.</summary>
    internal HostHold? HoldForWrite(BlockKey key) =>
        _index.TryPin(key, out var slot) ? new HostHold(this, _index, slot, Slot(slot)) : null;

    /// <summary>Removes the block; holders finish on its bytes.</summary>
    public bool Delete(BlockKey key)
    {
        if (!_index.TryRetire(key, out var slot)) return false;
        _index.Unpin(slot);
        return true;
    }

    /// <summary>What is wrong, one sentence each; empty when nothing is. Call it when no hold is out.</summary>
    public IReadOnlyList<string> CheckIntegrity() => _index.CheckIntegrity(idle: true);

    /// <summary>Frees the memory. No hold may be out, and no device may have I/O on it.</summary>
    public void Dispose()
    {
        foreach (var region in _regions) ((IDisposable)region).Dispose();
        _regions.Clear();
    }

    internal void Copy(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        _meter.Begin();
        source.CopyTo(destination);
        _meter.End(source.Length);
    }

    internal void Measured<T>(ReadOnlySpan<byte> source, T state, ReadOnlySpanAction<byte, T> copy)
    {
        _meter.Begin();
        copy(source, state);
        _meter.End(source.Length);
    }

    private void NoteEviction(BlockKey key)
    {
        Interlocked.Increment(ref _evictions);
        Evicted?.Invoke(key);
    }

    private Memory<byte> Slot(int slot) =>
        _regions[slot / _slotsPerRegion].Memory.Slice(slot % _slotsPerRegion * _slotBytes, Geometry.BlockBytes);

    private void CheckLength(int actual, string name)
    {
        if (actual == Geometry.BlockBytes) return;
        throw new ArgumentException(
            $"{actual:N0} bytes were given; a block ({Geometry}) has {Geometry.BlockBytes:N0}.", name);
    }
}
