namespace Krewe.KvStore.Disk;

/// <summary>State and counts of one SSD store since it was opened.</summary>
public sealed record SsdStoreStatistics
{
    /// <summary>Objects that can be read now.</summary>
    public required int Objects { get; init; }

    /// <summary>Slots, used or not.</summary>
    public required int CapacityObjects { get; init; }

    /// <summary>Objects found in the index; a layer-wise read counts once, at its opening.</summary>
    public required long Hits { get; init; }

    public required long Misses { get; init; }

    public required long Stored { get; init; }

    /// <summary>Puts of keys that were present or being written.</summary>
    public required long PutsSkipped { get; init; }

    /// <summary>Puts that found every slot held.</summary>
    public required long PutsWithoutRoom { get; init; }

    public required long Evictions { get; init; }

    public required long Deleted { get; init; }

    /// <summary>Header pages found half written, flipped or in the wrong place when the store was opened.</summary>
    public required long TornHeaders { get; init; }

    /// <summary>Older copies of a key dropped when the store was opened.</summary>
    public required long Superseded { get; init; }

    /// <summary>Segment files made anew because they fitted no more or were damaged.</summary>
    public required long SegmentsDiscarded { get; init; }

    /// <summary>Objects dropped because their bytes were not those stored.</summary>
    public required long CorruptObjects { get; init; }

    public required long ReadErrors { get; init; }

    public required long WriteErrors { get; init; }

    public required long DiskFullErrors { get; init; }

    public required long ObjectsScrubbed { get; init; }

    public required long BytesRead { get; init; }

    public required long BytesWritten { get; init; }

    public required int ReadsInFlight { get; init; }

    public required int WritesInFlight { get; init; }

    /// <summary>Writes that wait for a pause between reads.</summary>
    public required int WritesWaiting { get; init; }

    /// <summary>How long opening took, with rebuilding the index from the headers.</summary>
    public required TimeSpan OpenDuration { get; init; }

    /// <summary>Bytes a second while at least one read was under way; null until enough was read.</summary>
    public required double? ReadBytesPerSecond { get; init; }
}
