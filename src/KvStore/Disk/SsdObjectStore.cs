using Krewe.Abstractions;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;
using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Disk;

/// <summary>
/// KV blocks as objects on SSDs: fixed slots in pre-allocated segment files, the index in memory. Invariant: a read
/// either delivers the very bytes that were put under the key, or says that it did not. Safe for use from any thread.
/// </summary>
public sealed partial class SsdObjectStore : IAsyncDisposable
{
    private readonly SsdStoreOptions _options;
    private readonly IBlockDevice _device;
    private readonly TimeProvider _time;
    private readonly DirectoryLock _lock;
    private readonly SegmentSet _segments;
    private readonly SlotRecords _records;
    private readonly SlotIndex _index;
    private readonly ReadFirstGate _gate;
    private readonly BufferPool _readBuffers;
    private readonly BufferPool _writeBuffers;
    private readonly NativeBuffer _zeroPage = new(Page.Bytes);
    private readonly StoreCounters _counters = new();
    private readonly BandwidthMeter _meter;
    private readonly OperationGuard _guard = new(typeof(SsdObjectStore));
    private Sharing.PartJournal? _journal;
    private TimeSpan _openDuration;
    private ulong _generation;

    private SsdObjectStore(
        SsdStoreOptions options, IBlockDevice device, TimeProvider time, DirectoryLock directoryLock,
        SegmentSet segments)
    {
        _options = options;
        _device = device;
        _time = time;
        _lock = directoryLock;
        _zeroPage.GetSpan().Clear();
        _segments = segments;
        var layout = segments.Layout;
        _records = new SlotRecords(layout.Slots, layout.Layers);
        _index = new SlotIndex(layout.Slots, options.EvictionSample);
        _gate = new ReadFirstGate(options.WritesInFlightMax, options.WriteDelayMax, time);
        _readBuffers = new BufferPool(options.StagingBuffers, layout.BodyBytes);
        _writeBuffers = new BufferPool(options.StagingBuffers, Page.Bytes + layout.BodyBytes);
        _meter = new BandwidthMeter(options.AssumedReadBytesPerSecond, time);
        _counters.SegmentsDiscarded = segments.Discarded;
    }

    /// <summary>Which I/O path is in use and why.</summary>
    public string Description => $"{_segments.Layout.Slots:N0} slots in {_segments.Layout.Segments} segments, "
        + $"{_options.Directories.Count} directories; {_device.Description}";

    /// <summary>Bytes of every object.</summary>
    public int PayloadBytes => _segments.Layout.PayloadBytes;

    public KvGeometry Geometry => _options.Geometry;

    /// <summary>
    /// Opens the store: locks the directories, makes missing segments, rebuilds the index from the headers.
    /// </summary>
    /// <exception cref="KvStoreException">The message says what to change.</exception>
    public static async ValueTask<SsdObjectStore> OpenAsync(
        SsdStoreOptions options, BlockDeviceOptions? deviceOptions = null, TimeProvider? time = null,
        CancellationToken cancellationToken = default)
    {
        Check(options);
        var directoryLock = new DirectoryLock(options.Directories);
        IBlockDevice device;
        try
        {
            device = await BlockDevice.OpenAsync(deviceOptions ?? new BlockDeviceOptions(), options.Directories);
        }
        catch (KvStoreException)
        {
            directoryLock.Dispose();
            throw;
        }

        return await OpenAsync(options, device, directoryLock, time ?? TimeProvider.System, cancellationToken);
    }

    /// <summary>As above on a device of the caller's. The store owns it from now on, also when opening fails.</summary>
    public static async ValueTask<SsdObjectStore> OpenAsync(
        SsdStoreOptions options, IBlockDevice device, TimeProvider time, CancellationToken cancellationToken = default)
    {
        DirectoryLock directoryLock;
        try
        {
            Check(options);
            directoryLock = new DirectoryLock(options.Directories);
        }
        catch (KvStoreException)
        {
            await device.DisposeAsync();
            throw;
        }

        return await OpenAsync(options, device, directoryLock, time, cancellationToken);
    }

    /// <summary>Told of each key that can be read from now on, and of its slot. On whatever thread wrote it.</summary>
    public Action<BlockKey, int>? Stored { get; set; }

    /// <summary>Told of each key that is gone: evicted, deleted or found bad.</summary>
    public Action<BlockKey>? Removed { get; set; }

    /// <summary>Keys of all objects that can be read now, any order.</summary>
    public IReadOnlyList<BlockKey> Keys => _index.Keys;

    /// <summary>Bytes a second of reads under the present load; assumed until enough were measured.</summary>
    public double ReadBytesPerSecond => _meter.BytesPerSecond;

    /// <summary>Reads that are under way; a new one waits behind them.</summary>
    public int ReadsInFlight => _gate.Load.Reads;

    /// <summary>Tells neighbours of what comes and goes from now on; owned by the store.</summary>
    internal void Attach(Sharing.PartJournal journal) => _journal = journal;

    /// <summary>Where the object lies now; null when there is none.</summary>
    internal int? SlotOf(BlockKey key) => _index.Find(key);

    internal ReadFirstGate Gate => _gate;

    internal BandwidthMeter Meter => _meter;

    internal SegmentLayout Layout => _segments.Layout;

    /// <summary>True when the object was there at the moment of the call.</summary>
    public bool Contains(BlockKey key) => _index.Contains(key);

    /// <summary>Registers memory that reads will go to or puts come from; it must outlive the store.</summary>
    /// <returns>False when the device has no such thing; I/O works all the same.</returns>
    public ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) => _device.RegisterMemoryAsync(memory);

    /// <summary>Returns when everything put so far survives the loss of power.</summary>
    public async ValueTask FlushAsync()
    {
        using var operation = Enter();
        await _segments.FlushAsync();
    }

    /// <summary>Waits for what is under way, flushes and closes the files.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!await _guard.CloseAsync()) return;
        try
        {
            await _segments.FlushAsync();
        }
        finally
        {
            await ReleaseAsync();
        }
    }

    private static void Check(SsdStoreOptions options)
    {
        var errors = options.Validate().ToList();
        if (errors.Count > 0) throw new KvStoreException(KvStoreError.InvalidOptions, string.Join(" ", errors));
    }

    private static async ValueTask<SsdObjectStore> OpenAsync(
        SsdStoreOptions options, IBlockDevice device, DirectoryLock directoryLock, TimeProvider time,
        CancellationToken cancellationToken)
    {
        SegmentSet segments;
        try
        {
            segments = await SegmentSet.OpenAsync(options, device, cancellationToken);
        }
        catch
        {
            await device.DisposeAsync();
            directoryLock.Dispose();
            throw;
        }

        var store = new SsdObjectStore(options, device, time, directoryLock, segments);
        try
        {
            await store.RebuildAsync(cancellationToken);
            return store;
        }
        catch (BlockIoException error)
        {
            await store.ReleaseAsync();
            throw new KvStoreException(
                KvStoreError.ReadFailed,
                $"The KV store's index cannot be rebuilt: {error.Message} Delete the segment or name another.",
                innerException: error);
        }
        catch
        {
            await store.ReleaseAsync();
            throw;
        }
    }

    private async ValueTask RebuildAsync(CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        await _device.RegisterMemoryAsync(_readBuffers.Region);
        await _device.RegisterMemoryAsync(_writeBuffers.Region);
        var rebuild = new IndexRebuild(_segments, _records, _counters);
        _generation = await rebuild.RunAsync(_index, cancellationToken);
        // A loser left on disk could come back as the only copy after its winner is gone.
        foreach (var slot in rebuild.Losers) await ClearHeaderAsync(slot, cancellationToken);
        _openDuration = _time.GetElapsedTime(started);
    }

    /// <summary>Device first: the kernel must have let go of the buffers before they are freed.</summary>
    private async ValueTask ReleaseAsync()
    {
        await _segments.DisposeAsync();
        await _device.DisposeAsync();
        _gate.Dispose();
        _readBuffers.Dispose();
        _writeBuffers.Dispose();
        ((IDisposable)_zeroPage).Dispose();
        _journal?.Dispose();
        _lock.Dispose();
    }

    private Operation Enter()
    {
        _guard.Enter();
        return new Operation(_guard);
    }

    private readonly struct Operation(OperationGuard guard) : IDisposable
    {
        public void Dispose() => guard.Leave();
    }
}
