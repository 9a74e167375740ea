using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Disk;

/// <summary>What the store says about itself.</summary>
public sealed partial class SsdObjectStore
{
    /// <summary>Slots, used or not.</summary>
    public int CapacityObjects => _segments.Layout.Slots;

    /// <summary>Objects that can be read now.</summary>
    public int Objects => _index.Objects;

    /// <summary>State and counts since the store was opened.</summary>
    public SsdStoreStatistics Statistics
    {
        get
        {
            var (reads, writes, waiting) = _gate.Load;
            return new SsdStoreStatistics
            {
                Objects = _index.Objects,
                CapacityObjects = CapacityObjects,
                Hits = Interlocked.Read(ref _counters.Hits),
                Misses = Interlocked.Read(ref _counters.Misses),
                Stored = Interlocked.Read(ref _counters.Stored),
                PutsSkipped = Interlocked.Read(ref _counters.PutsSkipped),
                PutsWithoutRoom = Interlocked.Read(ref _counters.PutsWithoutRoom),
                Evictions = Interlocked.Read(ref _counters.Evictions),
                Deleted = Interlocked.Read(ref _counters.Deleted),
                TornHeaders = Interlocked.Read(ref _counters.TornHeaders),
                Superseded = Interlocked.Read(ref _counters.Superseded),
                SegmentsDiscarded = Interlocked.Read(ref _counters.SegmentsDiscarded),
                CorruptObjects = Interlocked.Read(ref _counters.CorruptObjects),
                ReadErrors = Interlocked.Read(ref _counters.ReadErrors),
                WriteErrors = Interlocked.Read(ref _counters.WriteErrors),
                DiskFullErrors = Interlocked.Read(ref _counters.DiskFullErrors),
                ObjectsScrubbed = Interlocked.Read(ref _counters.ObjectsScrubbed),
                BytesRead = Interlocked.Read(ref _counters.BytesRead),
                BytesWritten = Interlocked.Read(ref _counters.BytesWritten),
                ReadsInFlight = reads,
                WritesInFlight = writes,
                WritesWaiting = waiting,
                OpenDuration = _openDuration,
                ReadBytesPerSecond = _meter.Measured,
            };
        }
    }

    /// <summary>
    /// Counts slots, holds and buffers against each other; call it when nothing is under way to find leaks too.
    /// </summary>
    /// <returns>What is wrong, one sentence each; empty when nothing is.</returns>
    public IReadOnlyList<string> CheckIntegrity()
    {
        var idle = _guard.Inside == 0;
        var problems = new List<string>(_index.CheckIntegrity(idle));
        if (!idle) return problems;
        var (reads, writes, waiting) = _gate.Load;
        if (reads + writes + waiting > 0)
            problems.Add($"Nothing is under way, but {reads} reads, {writes} writes, {waiting} waiting are counted.");
        if (_readBuffers.InUse > 0) problems.Add($"{_readBuffers.InUse} read buffers were not returned.");
        if (_writeBuffers.InUse > 0) problems.Add($"{_writeBuffers.InUse} write buffers were not returned.");
        return problems;
    }

    /// <summary>
    /// Reads one slot's header and body as they lie on disk and drops the object when either is wrong.
    /// </summary>
    /// <returns>Bytes read; null when the slot holds no object.</returns>
    internal async ValueTask<long?> VerifyAsync(int slot, CancellationToken cancellationToken)
    {
        using var operation = Enter();
        if (!_index.TryHold(slot, out var key)) return null;
        Memory<byte>? staging = null;
        try
        {
            staging = await _readBuffers.RentAsync(cancellationToken);
            var wrong = await FindDamageAsync(key, slot, staging.Value, cancellationToken);
            StoreCounters.Add(ref _counters.ObjectsScrubbed);
            if (wrong is not null) await DropCorruptAsync(key, slot);
            return Page.Bytes + _segments.Layout.BodyBytes;
        }
        finally
        {
            if (staging is { } buffer) _readBuffers.Return(buffer);
            _index.Unpin(slot);
        }
    }

    private async ValueTask<string?> FindDamageAsync(
        BlockKey key, int slot, Memory<byte> staging, CancellationToken cancellationToken)
    {
        var (file, index) = _segments.Locate(slot);
        // Scrubbing takes a writer's turn: it waits for a pause between reads.
        await _gate.BeginWriteAsync(cancellationToken);
        try
        {
            var page = staging[..Page.Bytes];
            await file.ReadAsync(SegmentLayout.HeaderOffset(index), page);
            if (ObjectHeader.Read(page.Span, out var header) != HeaderState.Valid) return "its header is torn";
            if (header.Key != key || header.Generation != _records.Generation(slot)) return "its header is another's";
            await file.ReadAsync(_segments.Layout.BodyOffset(index), staging);
        }
        catch (BlockIoException error)
        {
            StoreCounters.Add(ref _counters.ReadErrors);
            return error.Message;
        }
        finally
        {
            _gate.EndWrite();
        }

        return FirstWrongLayer(slot, 0, staging.Span[..PayloadBytes]) is { } wrong ? $"layer {wrong} is wrong" : null;
    }
}
