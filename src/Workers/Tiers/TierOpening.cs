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

    /// <summary>Null when the options ask for none.</summary>
    /// <param name="events">Told of what the tiers hold from now on; null: nobody.</param>
    /// <exception cref="KreweException">The disk cannot be used; the message says what to change.</exception>
    public static async ValueTask<KvTiers?> OpenAsync(
        KvTierOptions options, IModelRunner runner, string modelFingerprint, KvEventLog? events, TimeProvider time,
        ILogger logger)
    {
        if (options.IsOff) return null;
        var geometry = runner.Kv.Geometry;
        var slotBytes = (geometry.BlockBytes + 4095L) / 4096 * 4096;
        var buffer = options.DiskDirectories.Count > 0 ? BufferBlocks * slotBytes : 0;
        SharedDirectory.Opened? disk = null;
        HostTier? host = null;
        try
        {
            host = new HostTier(
                geometry, Math.Max(options.HostBytes, buffer), time: time,
                packed: options.DiskDirectories.Count == 0);
            if (options.DiskDirectories.Count > 0)
            {
                disk = await SharedDirectory.OpenAsync(
                    StoreOptions(options, runner, modelFingerprint),
                    new BlockDeviceOptions { QueueDepth = options.DiskQueueDepth }, time);
                LogDisk(logger, disk.Store.Description, disk.Store.Statistics.Objects, disk.Neighbours.Objects);
                if (runner is CudaModelRunner gpu) LogDirect(logger, gpu.OpenDirect() ?? "no host memory between");
                foreach (var path in disk.Reclaimed) LogReclaimed(logger, path);
            }

            var store = await TieredStore.CreateAsync(host, disk?.Store, disk?.Neighbours);
            return new KvTiers(
                store, runner.Kv, options.Checkpoint, hostIsBuffer: options.HostBytes < buffer, time, logger, events);
        }
        catch (KvStoreException error)
        {
            host?.Dispose();
            throw new KreweException(ErrorCode.InvalidOptions, $"KV tiers: {error.Message}", innerException: error);
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

    [LoggerMessage(LogLevel.Information, "KV objects from disk to the GPU, by GPUDirect Storage: {How}.")]
    private static partial void LogDirect(ILogger logger, string how);

    [LoggerMessage(LogLevel.Warning, "The disk was too full: '{Path}', KV of a model that does not run, was deleted.")]
    private static partial void LogReclaimed(ILogger logger, string path);
}
