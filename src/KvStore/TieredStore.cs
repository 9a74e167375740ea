using Krewe.Abstractions;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;

namespace Krewe.KvStore;

/// <summary>End of a read through the tiers.</summary>
/// <param name="Tier">Where the bytes came from; null when no tier had them.</param>
/// <param name="Result">On a bad object: what the disk said of it.</param>
public readonly record struct TieredRead(KvTier? Tier, ReadResult Result);

/// <summary>
/// Host memory over SSD objects: a lookup goes down, a hit on disk is copied up. Both tiers hold clean copies, so host
/// memory evicts without a write. Owns both tiers. Either may be missing, not both.
/// </summary>
public sealed class TieredStore : IAsyncDisposable
{
    private const long AssumedHostBytesPerSecond = 5L << 30;

    private readonly HostTier? _host;
    private readonly SsdObjectStore? _disk;
    private readonly BandwidthMeter _hostMeter;

    private TieredStore(HostTier? host, SsdObjectStore? disk, TimeProvider time)
    {
        _host = host;
        _disk = disk;
        _hostMeter = new BandwidthMeter(AssumedHostBytesPerSecond, time);
    }

    public HostTier? Host => _host;

    /// <summary>The disk tier, for layer-wise restores.</summary>
    public SsdObjectStore? Disk => _disk;

    /// <summary>
    /// Joins the tiers, and registers the host's memory with the disk's device where that can be done.
    /// </summary>
    public static async ValueTask<TieredStore> CreateAsync(HostTier? host, SsdObjectStore? disk, TimeProvider time)
    {
        if (host is null && disk is null) throw new ArgumentException("Neither a host tier nor a disk was given.");
        if (host is not null && disk is not null)
        {
            if (host.Geometry != disk.Geometry)
                throw new ArgumentException($"The host tier is for [{host.Geometry}], the disk for [{disk.Geometry}].");
            foreach (var region in host.Regions) await disk.RegisterMemoryAsync(region);
        }

        return new TieredStore(host, disk, time);
    }

    /// <summary>Fastest tier that holds the block now; null when none does.</summary>
    public KvTier? Find(BlockKey key)
    {
        if (_host?.Contains(key) == true) return KvTier.Host;
        return _disk?.Contains(key) == true ? KvTier.Disk : null;
    }

    /// <summary>What loading the block would cost under the present load; null when no tier holds it.</summary>
    public LoadEstimate? Estimate(BlockKey key)
    {
        switch (Find(key))
        {
            case KvTier.Host:
                var bytes = _host!.Geometry.BlockBytes;
                var (duration, measured) = _hostMeter.Estimate(bytes);
                return new LoadEstimate(KvTier.Host, bytes, duration, measured);
            case KvTier.Disk:
                return _disk!.Estimate();
            default:
                return null;
        }
    }

    /// <summary>Reads a block from the fastest tier that has it and keeps a disk's block in host memory.</summary>
    public async ValueTask<TieredRead> GetAsync(
        BlockKey key, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (_host is not null && TryGetFromHost(_host, key, destination.Span))
            return new TieredRead(KvTier.Host, new ReadResult(ReadOutcome.Hit));
        if (_disk is null) return new TieredRead(null, new ReadResult(ReadOutcome.Miss));

        var result = await _disk.GetAsync(key, destination, cancellationToken);
        if (!result.IsHit) return new TieredRead(null, result);
        // No room in host memory is no failure: the block was delivered.
        _host?.Put(key, destination.Span);
        return new TieredRead(KvTier.Disk, result);
    }

    /// <summary>
    /// Copies a block down: to host memory at once, and to disk, where there is one, before it returns.
    /// </summary>
    /// <returns>The lowest tier's answer.</returns>
    public async ValueTask<PutResult> SpillAsync(
        BlockKey key, ReadOnlyMemory<byte> payload, float recomputeSeconds = 0,
        CancellationToken cancellationToken = default)
    {
        var inHost = _host?.Put(key, payload.Span, recomputeSeconds);
        if (_disk is not null) return await _disk.PutAsync(key, payload, recomputeSeconds, false, cancellationToken);
        return new PutResult(inHost!.Value);
    }

    /// <summary>Removes the block from every tier. False when none had it.</summary>
    public async ValueTask<bool> DeleteAsync(BlockKey key)
    {
        var inHost = _host?.Delete(key) == true;
        var onDisk = _disk is not null && await _disk.DeleteAsync(key);
        return inHost || onDisk;
    }

    /// <summary>Disk first: its device may have the host's memory registered.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disk is not null) await _disk.DisposeAsync();
        _host?.Dispose();
    }

    private bool TryGetFromHost(HostTier host, BlockKey key, Span<byte> destination)
    {
        using var hold = host.TryHold(key);
        if (hold is null) return false;
        _hostMeter.Begin();
        hold.Memory.Span.CopyTo(destination);
        _hostMeter.End(destination.Length);
        return true;
    }
}
