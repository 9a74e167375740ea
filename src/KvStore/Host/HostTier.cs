using System.Buffers;
using Krewe.Abstractions;
using Krewe.KvStore.Memory;
using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Host;

/// <summary>Counts of a host tier since it was made.</summary>
public readonly record struct HostTierStatistics(
    int Objects, int CapacityObjects, long Hits, long Misses, long Stored, long Evictions);

/// <summary>Writes the bytes of neighbouring blocks, <paramref name="count"/> from the <paramref name="first"/> on.
/// </summary>
public delegate void RunFiller<in T>(Span<byte> bytes, int first, int count, T state);

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
    /// <param name="packed">No gap between blocks: they need not begin on a page, since no disk reads them.</param>
    /// <exception cref="KvStoreException">The capacity holds no block.</exception>
    public HostTier(
        KvGeometry geometry, long capacityBytes, int evictionSample = 1, TimeProvider? time = null, bool packed = false)
    {
        _meter = new BandwidthMeter(AssumedBytesPerSecond, time ?? TimeProvider.System);
        Geometry = geometry;
        _slotBytes = packed ? geometry.BlockBytes : (int)Page.RoundUp(geometry.BlockBytes);
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
        var outcome = Outcome(_index.TryReserve(key, replace: false, out var slot, out var victim));
        if (outcome != PutOutcome.Stored) return outcome;
        if (victim is { } gone) NoteEviction(gone);
        fill(Slot(slot).Span, state);
        _index.Publish(slot, recomputeSeconds);
        Interlocked.Increment(ref _stored);
        return outcome;
    }

    /// <summary>
    /// Copies many blocks in. Those that are neighbours where they come from and where they go are filled together, so
    /// that a sequence whose blocks lie side by side leaves in few large copies (FastSwitch, arXiv 2411.18424).
    /// </summary>
    /// <param name="keys">The blocks.</param>
    /// <param name="places">Where each comes from: n + 1 is the neighbour of n.</param>
    /// <param name="recomputeSeconds">As for one; of each.</param>
    /// <param name="outcomes">[keys], written.</param>
    /// <param name="fill">Writes the bytes of a run of blocks.</param>
    /// <returns>How many runs were filled.</returns>
    public int PutAll<T>(
        ReadOnlySpan<BlockKey> keys, ReadOnlySpan<int> places, ReadOnlySpan<float> recomputeSeconds,
        Span<PutOutcome> outcomes, T state, RunFiller<T> fill)
    {
        var slots = new int[keys.Length];
        for (var i = 0; i < slots.Length; i++)
        {
            outcomes[i] = Outcome(_index.TryReserve(keys[i], replace: false, out slots[i], out var victim));
            if (victim is { } gone) NoteEviction(gone);
        }

        var copies = 0;
        for (var start = 0; start < slots.Length;)
        {
            var end = start + 1;
            if (outcomes[start] == PutOutcome.Stored)
            {
                while (end < slots.Length && outcomes[end] == PutOutcome.Stored
                    && places[end] == places[end - 1] + 1 && IsBehind(slots[end - 1], slots[end]))
                    end++;
                fill(Run(slots[start], end - start).Span, start, end - start, state);
                copies++;
                for (var i = start; i < end; i++) _index.Publish(slots[i], recomputeSeconds[i]);
                Interlocked.Add(ref _stored, end - start);
            }

            start = end;
        }

        return copies;
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

    /// <summary>Whether the second slot's bytes follow the first's without a gap.</summary>
    internal bool IsBehind(int slot, int next) =>
        next == slot + 1 && next % _slotsPerRegion != 0 && _slotBytes == Geometry.BlockBytes;

    /// <summary>Bytes of slots of which each <see cref="IsBehind"/> the one before.</summary>
    internal Memory<byte> Run(int slot, int count) => _regions[slot / _slotsPerRegion].Memory
        .Slice(slot % _slotsPerRegion * _slotBytes, checked(count * Geometry.BlockBytes));

    private static PutOutcome Outcome(ReserveOutcome outcome) => outcome switch
    {
        ReserveOutcome.Reserved => PutOutcome.Stored,
        ReserveOutcome.AlreadyPresent => PutOutcome.AlreadyPresent,
        ReserveOutcome.BeingWritten => PutOutcome.BeingWritten,
        ReserveOutcome.NoRoom => PutOutcome.NoRoom,
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "An outcome without a meaning."),
    };

    private Memory<byte> Slot(int slot) =>
        _regions[slot / _slotsPerRegion].Memory.Slice(slot % _slotsPerRegion * _slotBytes, Geometry.BlockBytes);

    private void CheckLength(int actual, string name)
    {
        if (actual == Geometry.BlockBytes) return;
        throw new ArgumentException(
            $"{actual:N0} bytes were given; a block ({Geometry}) has {Geometry.BlockBytes:N0}.", name);
    }
}
