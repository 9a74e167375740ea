using Krewe.Abstractions;
using Krewe.Control.KvEvents;
using Krewe.KvStore;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.KvStore.Sharing;

namespace Krewe.Workers;

/// <summary>Opens the tiers that a worker's options ask for.</summary>
internal static partial class TierOpening
{
    /// <summary>
    /// Host memory of a worker that has a disk and asked for none: blocks wait there for the disk. A step's worth of
    /// evictions fits.
    /// </summary>
    private const int BufferBlocks = 64;

    /// <summary>Objects compared by cost under <see cref="KvEviction.Cost"/>.</summary>
    private const int CostSample = 16;

    private const long SegmentBytesMax = 1L << 30;

    /// <summary>
    /// Null when the options ask for none, or for a disk alone that is full or broken. Tiers are caches: the worker
    /// serves the same tokens without, which is better at night than none.
    /// </summary>
    /// <param name="events">Told of what the tiers hold from now on; null: nobody.</param>
    /// <exception cref="KreweException">The options cannot work; the message says what to change.</exception>
    public static async ValueTask<KvTiers?> OpenAsync(
        KvTierOptions options, IModelRunner runner, string modelFingerprint, KvEventLog? events, TimeProvider time,
        ILogger logger)
    {
        SharedDirectory.Opened? disk = null;
        HostTier? host = null;
        try
        {
            if (options.DiskDirectories.Count > 0)
            {
                disk = await TryOpenDiskAsync(options, runner, modelFingerprint, time, logger);
                if (disk is null) options = options with { DiskDirectories = [], Checkpoint = false };
            }

            if (options.IsOff) return null;
            var geometry = runner.Kv.Geometry;
            var slotBytes = (geometry.BlockBytes + 4095L) / 4096 * 4096;
            var buffer = disk is null ? 0 : BufferBlocks * slotBytes;
            host = new HostTier(geometry, Math.Max(options.HostBytes, buffer), time: time, packed: disk is null);
            var store = await TieredStore.CreateAsync(host, disk?.Store, disk?.Neighbours);
            return new KvTiers(
                store, runner.Kv, options.Checkpoint, hostIsBuffer: options.HostBytes < buffer, time, logger, events);
        }
        catch (KvStoreException error)
        {
            host?.Dispose();
            if (disk is not null)
            {
                await disk.Neighbours.DisposeAsync();
                await disk.Store.DisposeAsync();
            }

            throw new KreweException(ErrorCode.InvalidOptions, $"KV tiers: {error.Message}", innerException: error);
        }
    }

    private static async ValueTask<SharedDirectory.Opened?> TryOpenDiskAsync(
        KvTierOptions options, IModelRunner runner, string modelFingerprint, TimeProvider time, ILogger logger)
    {
        try
        {
            var disk = await SharedDirectory.OpenAsync(
                StoreOptions(options, runner, modelFingerprint),
                new BlockDeviceOptions { QueueDepth = options.DiskQueueDepth }, time);
            LogDisk(logger, disk.Store.Description, disk.Store.Statistics.Objects, disk.Neighbours.Objects);
            if (runner is CudaModelRunner gpu) LogDirect(logger, gpu.OpenDirect() ?? "no host memory between");
            foreach (var path in disk.Reclaimed) LogReclaimed(logger, path);
            return disk;
        }
        catch (KvStoreException error) when (
            error.Error is KvStoreError.DiskFull or KvStoreError.ReadFailed or KvStoreError.WriteFailed)
        {
            LogNoDisk(logger, string.Join(',', options.DiskDirectories), error.Message);
            return null;
        }
    }

    private static SsdStoreOptions StoreOptions(KvTierOptions options, IModelRunner runner, string model) => new()
    {
        Directories = options.DiskDirectories,
        Geometry = runner.Kv.Geometry,
        Numerics = runner.Numerics,
        Model = model,
        CapacityBytes = options.DiskBytes,
        SegmentBytes = SegmentBytesMax,
        EvictionSample = options.Eviction == KvEviction.Cost ? CostSample : 1,
    };

    [LoggerMessage(LogLevel.Information,
        "KV objects on disk: {Store}; {Own} objects found, {Neighbours} more of other workers.")]
    private static partial void LogDisk(ILogger logger, string store, int own, int neighbours);

    [LoggerMessage(LogLevel.Error,
        "The worker runs without --kv-disk {Directories} until it is started again: {Reason} (--kv-disk-bytes is how "
        + "much each worker reserves there.)")]
    private static partial void LogNoDisk(ILogger logger, string directories, string reason);

    [LoggerMessage(LogLevel.Information, "KV objects from disk to the GPU, by GPUDirect Storage: {How}.")]
    private static partial void LogDirect(ILogger logger, string how);

    [LoggerMessage(LogLevel.Warning, "The disk was too full: '{Path}', KV of a model that does not run, was deleted.")]
    private static partial void LogReclaimed(ILogger logger, string path);
}
