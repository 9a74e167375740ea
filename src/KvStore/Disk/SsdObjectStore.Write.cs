using Krewe.Abstractions;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;
using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Disk;

/// <summary>
/// Writing. The order on disk makes every moment safe to die in: old header cleared, then body, then new header. A
/// header is never beside a body that it does not describe, unless the disk reorders, and then the checksums tell.
/// </summary>
public sealed partial class SsdObjectStore
{
    /// <summary>Stores one block. Waits while all staging buffers are in use: that is the back-pressure.</summary>
    /// <param name="payload">Exactly <see cref="PayloadBytes"/>; must not change until the call has ended.</param>
    /// <param name="recomputeSeconds">What losing the object would cost, for cost-aware eviction.</param>
    /// <param name="replace">Write a newer copy although the key is present.</param>
    /// <param name="cancellationToken">Heeded between two I/Os; a cancelled put stores nothing.</param>
    public async ValueTask<PutResult> PutAsync(
        BlockKey key, ReadOnlyMemory<byte> payload, float recomputeSeconds = 0, bool replace = false,
        CancellationToken cancellationToken = default)
    {
        CheckLength(payload.Length, PayloadBytes, nameof(payload));
        using var operation = Enter();
        if (!replace && _index.Contains(key)) return Skipped(PutOutcome.AlreadyPresent);
        var staging = await _writeBuffers.RentAsync(cancellationToken);
        try
        {
            switch (_index.TryReserve(key, replace, out var slot, out var victim))
            {
                case ReserveOutcome.AlreadyPresent:
                    return Skipped(PutOutcome.AlreadyPresent);
                case ReserveOutcome.BeingWritten:
                    return Skipped(PutOutcome.BeingWritten);
                case ReserveOutcome.NoRoom:
                    StoreCounters.Add(ref _counters.PutsWithoutRoom);
                    return new PutResult(PutOutcome.NoRoom);
                default:
                    if (victim is { } gone) NoteEviction(gone);
                    return await WriteObjectAsync(key, slot, payload, recomputeSeconds, staging, cancellationToken);
            }
        }
        finally
        {
            _writeBuffers.Return(staging);
        }
    }

    /// <summary>Removes the object. Readers that have begun finish on the old bytes.</summary>
    /// <returns>False when there was none.</returns>
    public async ValueTask<bool> DeleteAsync(BlockKey key)
    {
        using var operation = Enter();
        if (!_index.TryRetire(key, out var slot)) return false;
        StoreCounters.Add(ref _counters.Deleted);
        NoteRemoved(key);
        await EndRetiringAsync(slot);
        return true;
    }

    private static void CheckLength(int actual, int expected, string name)
    {
        if (actual != expected)
        {
            throw new ArgumentException(
                $"{actual:N0} bytes were given; the store's geometry takes {expected:N0}.", name);
        }
    }

    private void NoteRemoved(BlockKey key)
    {
        _journal?.AddRemoved(key);
        Removed?.Invoke(key);
    }

    private void NoteEviction(BlockKey key)
    {
        StoreCounters.Add(ref _counters.Evictions);
        NoteRemoved(key);
    }

    private PutResult Skipped(PutOutcome outcome)
    {
        StoreCounters.Add(ref _counters.PutsSkipped);
        return new PutResult(outcome);
    }

    private async ValueTask<PutResult> WriteObjectAsync(
        BlockKey key, int slot, ReadOnlyMemory<byte> payload, float recomputeSeconds, Memory<byte> staging,
        CancellationToken cancellationToken)
    {
        var written = false;
        var bad = false;
        try
        {
            var page = staging[..Page.Bytes];
            var body = Stage(payload, staging[Page.Bytes..]);
            DescribeObject(key, slot, payload.Span, recomputeSeconds, page.Span);
            if (_records.HeaderOnDisk(slot)) await ClearHeaderAsync(slot, cancellationToken);
            var (file, index) = _segments.Locate(slot);
            await WriteAsync(file, _segments.Layout.BodyOffset(index), body, cancellationToken);
            _records.HeaderOnDisk(slot) = true;
            await WriteAsync(file, SegmentLayout.HeaderOffset(index), page, cancellationToken);
            written = true;
        }
        catch (BlockIoException error)
        {
            bad = error.Fault != BlockIoFault.DiskFull;
            return new PutResult(PutOutcome.Failed, WriteFailure(slot, error));
        }
        finally
        {
            if (!written) _index.Abandon(slot, bad);
        }

        StoreCounters.Add(ref _counters.Stored);
        var replaced = _index.Publish(slot, recomputeSeconds);
        _journal?.AddStored(key, slot);
        Stored?.Invoke(key, slot);
        if (replaced is { } old) await EndRetiringAsync(old);
        return new PutResult(PutOutcome.Stored);
    }

    /// <summary>The memory to write the body from: the caller's own when direct I/O can take it, else a copy.</summary>
    private static ReadOnlyMemory<byte> Stage(ReadOnlyMemory<byte> payload, Memory<byte> body)
    {
        if (DirectMemory.IsUsable(payload)) return payload;
        payload.CopyTo(body);
        body.Span[payload.Length..].Clear();
        return body;
    }

    private void DescribeObject(
        BlockKey key, int slot, ReadOnlySpan<byte> payload, float recomputeSeconds, Span<byte> page)
    {
        var layout = _segments.Layout;
        var checksums = _records.LayerChecksums(slot);
        for (var layer = 0; layer < layout.Layers; layer++)
            checksums[layer] = Crc32C.Compute(payload.Slice(layer * layout.LayerBytes, layout.LayerBytes));
        var generation = Interlocked.Increment(ref _generation);
        _records.Generation(slot) = generation;
        var (segment, index) = layout.Locate(slot);
        var header = new ObjectHeader(
            key, layout.Fingerprint, generation, (ulong)payload.Length, (uint)segment, (uint)index, (uint)layout.Layers,
            recomputeSeconds);
        header.Write(page, checksums);
    }

    /// <summary>Clears a retiring slot's header and lets go of it. Nobody waits for the outcome.</summary>
    private async ValueTask EndRetiringAsync(int slot)
    {
        try
        {
            await ClearHeaderAsync(slot, CancellationToken.None);
        }
        catch (BlockIoException error)
        {
            // The header stays marked as on disk, so the slot's next writer has to clear it before it writes a body.
            WriteFailure(slot, error);
        }
        finally
        {
            _index.Unpin(slot);
        }
    }

    private async ValueTask ClearHeaderAsync(int slot, CancellationToken cancellationToken)
    {
        var (file, index) = _segments.Locate(slot);
        await WriteAsync(file, SegmentLayout.HeaderOffset(index), _zeroPage.Memory, cancellationToken);
        _records.HeaderOnDisk(slot) = false;
    }

    private async ValueTask WriteAsync(
        ISegmentFile file, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await _gate.BeginWriteAsync(cancellationToken);
        try
        {
            await file.WriteAsync(offset, bytes);
            StoreCounters.Add(ref _counters.BytesWritten, bytes.Length);
        }
        finally
        {
            _gate.EndWrite();
        }
    }

    private KvStoreException WriteFailure(int slot, BlockIoException error)
    {
        var full = error.Fault == BlockIoFault.DiskFull;
        if (full) StoreCounters.Add(ref _counters.DiskFullErrors);
        else StoreCounters.Add(ref _counters.WriteErrors);
        var advice = full
            ? "Free space on the file system or lower the store's capacity; reads go on."
            : "The slot is not used again; check the disk.";
        var (file, index) = _segments.Locate(slot);
        return new KvStoreException(
            full ? KvStoreError.DiskFull : KvStoreError.WriteFailed,
            $"A KV object cannot be written to {_segments.Describe(slot)}: {error.Message} {advice}",
            file.Path,
            index,
            error);
    }
}
