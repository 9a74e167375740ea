using System.Buffers;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.KvStore.Sharing;

namespace Krewe.KvStore;

/// <summary>
/// Host memory over SSD objects. A spilled block is copied to host memory at once and written to disk from there when
/// the disk has slack, so the spiller never waits. Both tiers hold clean copies: host memory evicts without a write.
/// Owns all that it is given. Safe for use from any thread.
/// </summary>
public sealed class TieredStore : IAsyncDisposable
{
    private readonly HostTier _host;
    private readonly SsdObjectStore? _disk;
    private readonly Neighbours? _neighbours;
    private readonly Channel<PendingWrite> _toDisk;
    private readonly Task[] _writers;
    private readonly Lock _gate = new();
    private readonly HashSet<BlockKey> _pending = [];
    private readonly int _pendingMax;
    private TaskCompletionSource? _drained;

    private TieredStore(HostTier host, SsdObjectStore? disk, Neighbours? neighbours, int writers)
    {
        (_host, _disk, _neighbours) = (host, disk, neighbours);
        // Half of the slots: blocks that wait for the disk cannot be evicted, and others must still find room.
        _pendingMax = Math.Max(1, host.Statistics.CapacityObjects / 2);
        _toDisk = Channel.CreateUnbounded<PendingWrite>();
        _writers = disk is null ? [] : [.. Enumerable.Range(0, writers).Select(_ => Task.Run(WriteAsync))];
    }

    public HostTier Host => _host;

    /// <summary>The disk tier; null when there is none.</summary>
    public SsdObjectStore? Disk => _disk;

    /// <summary>Told of each write that the disk refused; the block stays in host memory while there is room.</summary>
    public Action<KvStoreException>? WriteFailed { get; set; }

    /// <summary>Whether another block can be queued on its way down.</summary>
    public bool HasRoom => Room > 0;

    /// <summary>Blocks that can be taken now without waiting for the disk.</summary>
    public int Room => _disk is null ? _host.Statistics.CapacityObjects : _pendingMax - PendingWrites;

    /// <summary>Told when a queued write has ended, well or not: there is room for another.</summary>
    public Action? WriteEnded { get; set; }

    /// <summary>Blocks on their way from host memory to disk.</summary>
    public int PendingWrites
    {
        get
        {
            lock (_gate) return _pending.Count;
        }
    }

    /// <summary>
    /// Joins the tiers, and registers the host's memory with the disk's device where that can be done.
    /// </summary>
    /// <param name="disk">Null for host memory alone.</param>
    /// <param name="neighbours">Where the disk's directory is shared: what other workers have spilled.</param>
    /// <param name="writers">Writes to disk that are under way at once.</param>
    public static async ValueTask<TieredStore> CreateAsync(
        HostTier host, SsdObjectStore? disk, Neighbours? neighbours = null, int writers = 4)
    {
        ArgumentNullException.ThrowIfNull(host);
        if (disk is null) return new TieredStore(host, null, null, writers);
        if (host.Geometry != disk.Geometry)
            throw new ArgumentException($"The host tier is for [{host.Geometry}], the disk for [{disk.Geometry}].");
        foreach (var region in host.Regions) await disk.RegisterMemoryAsync(region);
        return new TieredStore(host, disk, neighbours, writers);
    }

    /// <summary>Fastest tier that holds the block now; null when none does.</summary>
    public KvTier? Find(BlockKey key)
    {
        if (_host.Contains(key)) return KvTier.Host;
        return IsOnDisk(key) ? KvTier.Disk : null;
    }

    /// <summary>Holds the block in the fastest tier that has it; null when none does. Dispose ends the hold.</summary>
    public IBlockSource? TryOpen(BlockKey key) =>
        _host.TryHold(key) ?? (IBlockSource?)_disk?.TryOpenObject(key) ?? _neighbours?.TryOpen(key);

    /// <summary>
    /// True when losing the device's copy and the host's would lose nothing: the lowest tier has it or is about to.
    /// </summary>
    public bool IsSafe(BlockKey key)
    {
        if (_disk is null) return _host.Contains(key);
        if (IsOnDisk(key)) return true;
        lock (_gate) return _pending.Contains(key);
    }

    /// <summary>
    /// Copies a block to host memory, unless it is there, and queues its write to disk, unless it is there: a clean
    /// copy is never written twice. Returns after the copy.
    /// </summary>
    /// <param name="fill">Writes the block's bytes into its place in host memory.</param>
    /// <param name="recomputeSeconds">What losing the block would cost, for cost-aware eviction.</param>
    /// <returns>NoRoom when every slot is held: the block is in no lower tier.</returns>
    public PutOutcome Spill<T>(BlockKey key, T state, SpanAction<byte, T> fill, float recomputeSeconds = 0)
        where T : allows ref struct
    {
        var outcome = _host.Put(key, state, fill, recomputeSeconds);
        if (_disk is not null && outcome is PutOutcome.Stored or PutOutcome.AlreadyPresent)
            QueueWrite(key, recomputeSeconds);
        return outcome;
    }

    /// <summary>As <see cref="Spill"/> for many blocks, with the arguments of <see cref="HostTier.PutAll"/>.</summary>
    /// <returns>How many copies it took.</returns>
    public int SpillAll<T>(
        ReadOnlySpan<BlockKey> keys, ReadOnlySpan<int> places, ReadOnlySpan<float> recomputeSeconds,
        Span<PutOutcome> outcomes, T state, RunFiller<T> fill)
    {
        var copies = _host.PutAll(keys, places, recomputeSeconds, outcomes, state, fill);
        for (var i = 0; i < keys.Length && _disk is not null; i++)
        {
            if (outcomes[i] is PutOutcome.Stored or PutOutcome.AlreadyPresent)
                QueueWrite(keys[i], recomputeSeconds[i]);
        }

        return copies;
    }

    /// <summary>Returns when no write to disk waits any more.</summary>
    public Task FlushAsync()
    {
        lock (_gate)
        {
            if (_pending.Count == 0) return Task.CompletedTask;
            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _drained.Task;
        }
    }

    /// <summary>Removes the block from every tier. False when none had it.</summary>
    public async ValueTask<bool> DeleteAsync(BlockKey key)
    {
        var inHost = _host.Delete(key);
        var onDisk = _disk is not null && await _disk.DeleteAsync(key);
        return inHost || onDisk;
    }

    /// <summary>
    /// Ends with the writes that have been queued. Disk first: its device may have the host's memory registered.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _toDisk.Writer.TryComplete();
        await Task.WhenAll(_writers);
        if (_neighbours is not null) await _neighbours.DisposeAsync();
        if (_disk is not null) await _disk.DisposeAsync();
        _host.Dispose();
    }

    private bool IsOnDisk(BlockKey key) =>
        _disk?.Contains(key) == true || _neighbours?.Contains(key) == true;

    private void QueueWrite(BlockKey key, float recomputeSeconds)
    {
        if (IsOnDisk(key)) return;
        lock (_gate)
        {
            if (_pending.Count >= _pendingMax || !_pending.Add(key)) return;
        }

        // The hold keeps the block in host memory until it is on disk.
        if (_host.HoldForWrite(key) is { } hold
            && _toDisk.Writer.TryWrite(new PendingWrite(key, hold, recomputeSeconds)))
            return;
        EndWrite(key);
    }

    private async Task WriteAsync()
    {
        await foreach (var write in _toDisk.Reader.ReadAllAsync())
        {
            using var hold = write.Hold;
            var result = await _disk!.PutAsync(write.Key, hold.Memory, write.RecomputeSeconds);
            if (result.Error is { } error) WriteFailed?.Invoke(error);
            EndWrite(write.Key);
            WriteEnded?.Invoke();
        }
    }

    private void EndWrite(BlockKey key)
    {
        lock (_gate)
        {
            _pending.Remove(key);
            if (_pending.Count > 0) return;
            _drained?.TrySetResult();
            _drained = null;
        }
    }

    private readonly record struct PendingWrite(BlockKey Key, HostHold Hold, float RecomputeSeconds);
}
