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
        BlockIoException? failure = null;
        try
        {
            if (IsDirect(start, destination))
                await ReadBodyAsync(slot, start, destination);
            else
                await ReadStagedAsync(slot, start, destination, cancellationToken);
        }
        catch (BlockIoException error)
        {
            failure = error;
        }

        return await ConcludeReadAsync(key, slot, firstLayer, destination, failure);
    }

    /// <summary>
    /// As above for many held objects: one submission and one completion, so that small layers cost the device's time
    /// and not ours. Results and destinations are in the readers' order.
    /// </summary>
    internal async Task<ReadResult[]> ReadLayersAsync(
        IReadOnlyList<ObjectReader> readers, int firstLayer, IReadOnlyList<Memory<byte>> destinations)
    {
        var start = firstLayer * Geometry.LayerBytes;
        var results = new ReadResult[readers.Count];
        if (!destinations.All(destination => IsDirect(start, destination)))
        {
            return await Task.WhenAll(readers.Select((reader, i) => ReadLayersAsync(
                reader.Key, reader.Slot, firstLayer, destinations[i], CancellationToken.None).AsTask()));
        }

        var reads = new BlockRead[readers.Count];
        for (var i = 0; i < reads.Length; i++)
        {
            var (file, index) = _segments.Locate(readers[i].Slot);
            reads[i] = new BlockRead(file, _segments.Layout.BodyOffset(index) + start, destinations[i]);
        }

        await ReadCountedAsync(
            reads.Length, reads.Sum(read => (long)read.Buffer.Length), () => _device.ReadAllAsync(reads));
        for (var i = 0; i < reads.Length; i++)
        {
            results[i] = await ConcludeReadAsync(
                readers[i].Key, readers[i].Slot, firstLayer, destinations[i], reads[i].Error);
        }

        return results;
    }

    private static bool IsDirect(int start, Memory<byte> destination) =>
        Page.IsAligned(start) && DirectMemory.IsUsable(destination);

    /// <summary>Drops an object that could not be read or is not what was put.</summary>
    private async ValueTask<ReadResult> ConcludeReadAsync(
        BlockKey key, int slot, int firstLayer, Memory<byte> destination, BlockIoException? failure)
    {
        if (failure is not null)
        {
            StoreCounters.Add(ref _counters.ReadErrors);
            await TryDropAsync(key, slot);
            return new ReadResult(ReadOutcome.Failed, ReadFailure(key, slot, failure));
        }

        return await EndReadAsync(key, slot, FirstWrongLayer(slot, firstLayer, destination.Span));
    }

    /// <summary>Reads and verifies a held slot past the host.</summary>
    /// <exception cref="IOException">It cannot be read this way.</exception>
    internal async ValueTask<ReadResult> ReadDirectAsync(BlockKey key, int slot, IDirectMemory destination)
    {
        var (file, index) = _segments.Locate(slot);
        var checksums = new uint[Geometry.Layers];
        await ReadCountedAsync(1, PayloadBytes, () => new ValueTask(Task.Run(
            () => destination.Read(file.Path, _segments.Layout.BodyOffset(index), checksums))));
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

    private ValueTask ReadBodyAsync(int slot, int start, Memory<byte> pages)
    {
        var (file, index) = _segments.Locate(slot);
        return ReadCountedAsync(
            1, pages.Length, () => file.ReadAsync(_segments.Layout.BodyOffset(index) + start, pages));
    }

    /// <summary>Writes wait meanwhile, and the read counts for the tier's bandwidth.</summary>
    private async ValueTask ReadCountedAsync(int reads, long bytes, Func<ValueTask> read)
    {
        var moved = 0L;
        _gate.BeginReads(reads);
        _meter.Begin();
        try
        {
            await read();
            moved = bytes;
            StoreCounters.Add(ref _counters.BytesRead, moved);
        }
        finally
        {
            _meter.End(moved);
            _gate.EndReads(reads);
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
