using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>The C library's doors to another process's memory (Linux).</summary>
internal sealed unsafe partial class PeerMemory
{
    /// <summary>O_RDONLY, O_NONBLOCK, O_NOCTTY and O_CLOEXEC: whatever it is, opening it does nothing.</summary>
    private const int ReadOnly = 0x800 | 0x100 | 0x80000;

    private const int GetSeals = 1034;
    private const int SealShrink = 0x2;
    private const int ProtectRead = 0x1;
    private const int MapShared = 0x01;
    private const int SeekEnd = 2;

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(int descriptor, long offset, int origin);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Map(void* at, nuint bytes, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* start, nuint bytes);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
