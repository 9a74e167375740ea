using Krewe.Abstractions;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Disk;

/// <summary>
/// Reading. The index in memory holds the checksums, so a read is one I/O on the body, and is always verified.
/// </summary>
public sealed partial class SsdObjectStore
{
    /// <summary>
    /// Reads a whole block into <paramref name="destination"/>, exactly <see cref="PayloadBytes"/> long.
    /// </summary>
    /// <remarks>Page-aligned native memory is filled by the device itself; anything else costs one copy.</remarks>
    /// <param name="cancellationToken">Heeded until the I/O begins.</param>
    public async ValueTask<ReadResult> GetAsync(
        BlockKey key, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        CheckLength(destination.Length, PayloadBytes, nameof(destination));
        using var reader = TryOpenObject(key);
        if (reader is null) return new ReadResult(ReadOutcome.Miss);
        return await reader.ReadAsync(0, Geometry.Layers, destination, cancellationToken);
    }

    /// <summary>Holds the object for layer-wise reads; null when there is none. Dispose ends the hold.</summary>
    public ObjectReader? TryOpenObject(BlockKey key)
    {
        _guard.Enter();
        if (_index.TryPin(key, out var slot))
        {
            StoreCounters.Add(ref _counters.Hits);
            return new ObjectReader(this, key, slot);
        }

        _guard.Leave();
        StoreCounters.Add(ref _counters.Misses);
        return null;
    }

    internal void Release(int slot)
    {
        _index.Unpin(slot);
        _guard.Leave();
    }

    /// <summary>Reads and verifies some neighbouring layers of a held slot.</summary>
    internal async ValueTask<ReadResult> ReadLayersAsync(
        BlockKey key, int slot, int firstLayer, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var start = firstLayer * Geometry.LayerBytes;
        try
        {
            if (Page.IsAligned(start) && DirectMemory.IsUsable(destination))
                await ReadBodyAsync(slot, start, destination);
            else
                await ReadStagedAsync(slot, start, destination, cancellationToken);
        }
        catch (BlockIoException error)
        {
            StoreCounters.Add(ref _counters.ReadErrors);
            await TryDropAsync(key, slot);
            return new ReadResult(ReadOutcome.Failed, ReadFailure(key, slot, error));
        }

        return await EndReadAsync(key, slot, FirstWrongLayer(slot, firstLayer, destination.Span));
    }

    /// <summary>Reads and verifies a held slot past the host.</summary>
    /// <exception cref="IOException">It cannot be read this way.</exception>
    internal async ValueTask<ReadResult> ReadDirectAsync(BlockKey key, int slot, IDirectMemory destination)
    {
        var (file, index) = _segments.Locate(slot);
        var checksums = new uint[Geometry.Layers];
        var moved = 0;
        _gate.BeginRead();
        _meter.Begin();
        try
        {
            await Task.Run(() => destination.Read(file.Path, _segments.Layout.BodyOffset(index), checksums));
            moved = PayloadBytes;
            StoreCounters.Add(ref _counters.BytesRead, moved);
        }
        finally
        {
            _meter.End(moved);
            _gate.EndRead();
        }

        var wrong = _records.LayerChecksums(slot).CommonPrefixLength(checksums);
        return await EndReadAsync(key, slot, wrong < checksums.Length ? wrong : null);
    }

    private async ValueTask<ReadResult> EndReadAsync(BlockKey key, int slot, int? wrongLayer)
    {
        if (wrongLayer is not { } wrong) return new ReadResult(ReadOutcome.Hit);
        await DropCorruptAsync(key, slot);
        return new ReadResult(ReadOutcome.Corrupt, Corruption(key, slot, $"layer {wrong} fails its checksum"));
    }

    private async ValueTask ReadStagedAsync(
        int slot, int start, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var firstPage = (int)Page.RoundDown(start);
        var pages = (int)Page.RoundUp(start + destination.Length) - firstPage;
        var staging = await _readBuffers.RentAsync(cancellationToken);
        try
        {
            await ReadBodyAsync(slot, firstPage, staging[..pages]);
            staging.Slice(start - firstPage, destination.Length).CopyTo(destination);
        }
        finally
        {
            _readBuffers.Return(staging);
        }
    }

    private async ValueTask ReadBodyAsync(int slot, int start, Memory<byte> pages)
    {
        var (file, index) = _segments.Locate(slot);
        var moved = 0;
        _gate.BeginRead();
        _meter.Begin();
        try
        {
            await file.ReadAsync(_segments.Layout.BodyOffset(index) + start, pages);
            moved = pages.Length;
            StoreCounters.Add(ref _counters.BytesRead, moved);
        }
        finally
        {
            _meter.End(moved);
            _gate.EndRead();
        }
    }

    private int? FirstWrongLayer(int slot, int firstLayer, ReadOnlySpan<byte> bytes)
    {
        var layerBytes = Geometry.LayerBytes;
        var checksums = _records.LayerChecksums(slot)[firstLayer..];
        for (var i = 0; i * layerBytes < bytes.Length; i++)
        {
            if (Crc32C.Compute(bytes.Slice(i * layerBytes, layerBytes)) != checksums[i]) return firstLayer + i;
        }

        return null;
    }

    /// <summary>
    /// Takes a bad object out, unless its key has a newer copy by now. The caller still holds the slot.
    /// </summary>
    private async ValueTask<bool> TryDropAsync(BlockKey key, int slot)
    {
        if (!_index.TryRetireSlot(key, slot)) return false;
        NoteRemoved(key);
        await EndRetiringAsync(slot);
        return true;
    }

    /// <summary>Counts an object once, however many of its layers are found wrong.</summary>
    private async ValueTask DropCorruptAsync(BlockKey key, int slot)
    {
        if (await TryDropAsync(key, slot)) StoreCounters.Add(ref _counters.CorruptObjects);
    }

    private KvStoreException ReadFailure(BlockKey key, int slot, BlockIoException error)
    {
        var (file, index) = _segments.Locate(slot);
        return new KvStoreException(
            KvStoreError.ReadFailed,
            $"KV object {key} in {_segments.Describe(slot)} cannot be read: {error.Message} The object was dropped; "
            + "recompute the block and check the disk.",
            file.Path,
            index,
            error);
    }

    private KvStoreException Corruption(BlockKey key, int slot, string what)
    {
        var (file, index) = _segments.Locate(slot);
        return new KvStoreException(
            KvStoreError.CorruptObject,
            $"KV object {key} in {_segments.Describe(slot)} is corrupt: {what}. The object was dropped; recompute the "
            + "block, and check the disk if this happens again.",
            file.Path,
            index);
    }
}
