namespace Krewe.KvStore;

/// <summary>What went wrong in a KV tier. Every one leaves the tier serving what it still can.</summary>
public enum KvStoreError
{
    /// <summary>Settings that cannot work; all of them are listed at once.</summary>
    InvalidOptions,

    /// <summary>Another process has the directory open.</summary>
    DirectoryInUse,

    /// <summary>A segment was made for another geometry, numerics or capacity.</summary>
    SegmentMismatch,

    /// <summary>The file system has no room.</summary>
    DiskFull,

    /// <summary>The device did not return the bytes. The object is dropped.</summary>
    ReadFailed,

    /// <summary>The device did not take the bytes. The slot is not used again by this process.</summary>
    WriteFailed,

    /// <summary>The bytes are not those that were stored. The object is dropped.</summary>
    CorruptObject,

    /// <summary>The wanted I/O path cannot be had on this machine.</summary>
    DeviceUnavailable,
}

/// <summary>A failure of a KV tier. The message names file and slot and says what to do.</summary>
public sealed class KvStoreException(
    KvStoreError error, string message, string? path = null, int? slot = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    public KvStoreError Error { get; } = error;

    /// <summary>The segment file or directory; null when none is at fault.</summary>
    public string? Path { get; } = path;

    /// <summary>Slot inside the segment file; null when no slot is at fault.</summary>
    public int? Slot { get; } = slot;
}
