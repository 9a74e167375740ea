using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Krewe.KvStore.Devices;

/// <summary>Opens files past the page cache, which .NET's own open cannot, and reserves their room.</summary>
public static class DirectFile
{
    /// <summary>Opens a file for reading, past the page cache where the file system lets it.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public static SafeFileHandle OpenForReading(string path)
    {
        var flags = NativeMethods.CloseOnExec;
        var descriptor = NativeMethods.Open(path, flags | NativeMethods.Direct, 0);
        return descriptor < 0 ? File.OpenHandle(path) : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Why direct I/O cannot be had in the directory; null when it can.</summary>
    internal static string? RefusalIn(string directory)
    {
        if (!OperatingSystem.IsLinux()) return "direct I/O is for Linux only";
        var path = Path.Combine(directory, $"direct-io-probe-{Environment.ProcessId}");
        using var handle = TryOpen(path, direct: true, out var error);
        if (handle is null) return $"'{directory}' refuses direct I/O ({Marshal.GetPInvokeErrorMessage(error)})";
        File.Delete(path);
        return null;
    }

    /// <summary>
    /// Opens or creates the file for reading and writing, at least <paramref name="lengthBytes"/> long.
    /// </summary>
    /// <exception cref="BlockIoException">The file system refused.</exception>
    internal static SafeFileHandle Open(string path, long lengthBytes, bool direct)
    {
        var handle = TryOpen(path, direct, out var error);
        if (handle is null) throw BlockIoErrors.FromErrno(error, $"'{path}' cannot be opened");
        if (RandomAccess.GetLength(handle) >= lengthBytes) return handle;
        try
        {
            Reserve(handle, path, lengthBytes);
            return handle;
        }
        catch (BlockIoException)
        {
            handle.Dispose();
            throw;
        }
    }

    private static SafeFileHandle? TryOpen(string path, bool direct, out int error)
    {
        const int OwnerOnly = 0x180; // rw-------: KV bytes are the tenants' text in another form
        var flags = NativeMethods.ReadWrite | NativeMethods.Create | NativeMethods.CloseOnExec;
        var descriptor = NativeMethods.Open(path, direct ? flags | NativeMethods.Direct : flags, OwnerOnly);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>
    /// Real blocks where the file system can reserve, else a sparse file: then a full disk shows at the write.
    /// </summary>
    /// <exception cref="BlockIoException">There is no room.</exception>
    internal static void Reserve(SafeFileHandle handle, string path, long lengthBytes)
    {
        // Asked first, since a file system may hand out all that it has before it finds that this is not enough.
        var wanted = lengthBytes - RandomAccess.GetLength(handle);
        var available = new DriveInfo(path).AvailableFreeSpace;
        if (available < wanted)
        {
            throw new BlockIoException(
                BlockIoFault.DiskFull, $"'{path}' takes {wanted:N0} bytes more and {available:N0} are free.");
        }

        var descriptor = (int)handle.DangerousGetHandle();
        if (NativeMethods.Allocate(descriptor, 0, 0, lengthBytes) == 0) return;
        var error = Marshal.GetLastPInvokeError();
        if (error != NativeMethods.NotSupported)
        {
            throw BlockIoErrors.FromErrno(error, $"{lengthBytes:N0} bytes cannot be reserved for '{path}'");
        }

        RandomAccess.SetLength(handle, lengthBytes);
    }
}
