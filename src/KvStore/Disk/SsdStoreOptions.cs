using Krewe.Abstractions;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Disk;

/// <summary>What to do with segments that were made for another geometry, numerics or capacity.</summary>
public enum MismatchAction
{
    /// <summary>Refuse to open and name the file.</summary>
    Refuse,

    /// <summary>Delete the segment and make it anew: its objects could never be used.</summary>
    Discard,
}

/// <summary>Settings of one SSD object store.</summary>
public sealed record SsdStoreOptions
{
    /// <summary>
    /// Directories to stripe over, one for each disk. Their order is part of the store. Made when missing.
    /// </summary>
    public required IReadOnlyList<string> Directories { get; init; }

    /// <summary>Shape of the blocks; every object has <see cref="KvGeometry.BlockBytes"/> payload bytes.</summary>
    public required KvGeometry Geometry { get; init; }

    /// <summary>What decided the blocks' bits. Objects of other numerics are never served.</summary>
    public required NumericsFingerprint Numerics { get; init; }

    /// <summary>Fingerprint of the model's weights; an object of another model is never served.</summary>
    public string Model { get; init; } = "";

    /// <summary>Bytes of all segment files together, reserved at start.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>Most bytes of one segment file; the capacity is divided into equal ones.</summary>
    public long SegmentBytes { get; init; } = 1L << 30;

    /// <summary>Buffers for objects on their way to disk, and as many for reads into unaligned memory.</summary>
    public int StagingBuffers { get; init; } = 16;

    /// <summary>Writes that may run side by side while no read is under way.</summary>
    public int WritesInFlightMax { get; init; } = 4;

    /// <summary>A write that has waited so long for a pause between reads goes ahead all the same.</summary>
    public TimeSpan WriteDelayMax { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Longest-unused objects among which the cheapest to recompute is evicted; 1 is plain LRU.</summary>
    public int EvictionSample { get; init; } = 1;

    public MismatchAction OnMismatch { get; init; } = MismatchAction.Refuse;

    /// <summary>Bytes that the first directory needs beside the segments, and that must be free as these are.</summary>
    internal long BesideBytes { get; init; }

    /// <summary>Read bandwidth that load estimates assume until the disk has been measured.</summary>
    public long AssumedReadBytesPerSecond { get; init; } = 1L << 30;

    /// <summary>Every error of these settings at once.</summary>
    public IEnumerable<string> Validate()
    {
        if (Directories.Count == 0) yield return "Directories is empty; name at least one.";
        if (Directories.Any(string.IsNullOrWhiteSpace)) yield return "Directories holds an empty name.";
        if (Directories.Select(Path.GetFullPath).Distinct().Count() != Directories.Count)
            yield return "Directories names one directory twice.";
        if (Geometry.Layers is < 1 or > ObjectHeader.LayersMax)
            yield return $"Geometry has {Geometry.Layers} layers; a header has room for 1 to {ObjectHeader.LayersMax}.";
        if (Geometry.BlockBytes <= 0) yield return $"Geometry ({Geometry}) has no bytes a block.";
        if (StagingBuffers is < 1 or > 4096) yield return $"StagingBuffers is {StagingBuffers}; it must be 1 to 4096.";
        else if (StagingBuffers * (Page.Bytes + Page.RoundUp(Geometry.BlockBytes)) > int.MaxValue)
            yield return $"StagingBuffers is {StagingBuffers}: that many blocks are over 2 GiB.";
        if (WritesInFlightMax < 1) yield return $"WritesInFlightMax is {WritesInFlightMax}; it must be at least 1.";
        if (WriteDelayMax <= TimeSpan.Zero) yield return $"WriteDelayMax is {WriteDelayMax}; it must be above zero.";
        if (EvictionSample is < 1 or > 1024) yield return $"EvictionSample is {EvictionSample}; it must be 1 to 1024.";
        if (AssumedReadBytesPerSecond < 1)
            yield return $"AssumedReadBytesPerSecond is {AssumedReadBytesPerSecond}; it must be at least 1.";
        var smallest = 2L * Page.Bytes + Page.RoundUp(Geometry.BlockBytes);
        if (SegmentBytes < 2 * smallest)
            yield return $"SegmentBytes is {SegmentBytes:N0}; two objects take {2 * smallest:N0}.";
        var checksums = CapacityBytes / (Page.Bytes + Page.RoundUp(Geometry.BlockBytes)) * Geometry.Layers;
        if (checksums > int.MaxValue)
            yield return $"CapacityBytes is {CapacityBytes:N0}: too many objects for one store. Make blocks larger.";
        smallest *= Math.Max(1, Directories.Count);
        if (CapacityBytes < smallest)
            yield return $"CapacityBytes is {CapacityBytes:N0}; one object in each directory takes {smallest:N0}.";
    }
}
