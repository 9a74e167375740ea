namespace Krewe.Abstractions;

/// <summary>Which object goes first when the disk tier is full.</summary>
public enum KvEviction
{
    /// <summary>The longest unused.</summary>
    Lru,

    /// <summary>Of the 16 longest unused, the one that is cheapest to compute again.</summary>
    Cost,
}

/// <summary>A worker's KV tiers below its own pool. All off by default.</summary>
public sealed record KvTierOptions
{
    /// <summary>Host memory for blocks evicted from the pool; 0 = none, or a small buffer where there is a disk.
    /// </summary>
    public long HostBytes { get; init; }

    /// <summary>
    /// Directories for KV objects, one for each disk; blocks are striped over them. Workers of one host may share them:
    /// each writes its own part and reads the others'. Empty = no disk tier.
    /// </summary>
    public IReadOnlyList<string> DiskDirectories { get; init; } = [];

    /// <summary>Bytes of this worker's part, over all directories; reserved at start.</summary>
    public long DiskBytes { get; init; } = 4L << 30;

    /// <summary>Disk I/Os in flight.</summary>
    public int DiskQueueDepth { get; init; } = 64;

    public KvEviction Eviction { get; init; } = KvEviction.Lru;

    /// <summary>Spills running sequences' blocks as they fill: after a crash another worker restores them.</summary>
    public bool Checkpoint { get; init; }

    public bool IsOff => HostBytes == 0 && DiskDirectories.Count == 0;

    /// <summary>Every error of these settings at once.</summary>
    public IEnumerable<string> Validate()
    {
        if (HostBytes < 0) yield return $"--kv-host-bytes is {HostBytes}; it must not be negative.";
        if (DiskDirectories.Any(string.IsNullOrWhiteSpace))
            yield return "--kv-disk has an empty name; give DIR or DIR,DIR.";
        if (DiskDirectories.Count > 0 && DiskBytes < 1 << 20)
            yield return $"--kv-disk-bytes is {DiskBytes}; it must be at least 1 MiB.";
        if (DiskQueueDepth is < 1 or > 4096)
            yield return $"--kv-disk-queue-depth is {DiskQueueDepth}; it must be 1 to 4096.";
        if (Checkpoint && DiskDirectories.Count == 0)
            yield return "--kv-checkpoint needs a disk that outlives the worker; give --kv-disk DIR.";
    }
}
