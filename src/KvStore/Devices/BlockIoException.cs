namespace Krewe.KvStore.Devices;

/// <summary>What a device can do to an I/O.</summary>
public enum BlockIoFault
{
    /// <summary>No space left, or a quota is used up.</summary>
    DiskFull,

    /// <summary>The file ended before the wanted bytes.</summary>
    Truncated,

    /// <summary>No access to the file or directory.</summary>
    AccessDenied,

    /// <summary>Anything else: a medium error, an unplugged disk.</summary>
    Hardware,
}

/// <summary>One I/O failed.</summary>
public sealed class BlockIoException(BlockIoFault fault, string message, Exception? innerException = null)
    : IOException(message, innerException)
{
    public BlockIoFault Fault { get; } = fault;
}
