using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>The C library's doors to anonymous files and mappings (Linux).</summary>
internal sealed unsafe partial class SharedMemory
{
    private const uint CloseOnExecAllowSealing = 0x1 | 0x2;
    private const int AddSeals = 1033;

    /// <summary>F_DUPFD_CLOEXEC.</summary>
    private const int DuplicateCloseOnExec = 1030;

    /// <summary>F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW: the size is final.</summary>
    private const int SealsOfFixedSize = 0x1 | 0x2 | 0x4;

    private const int ProtectReadWrite = 0x1 | 0x2;
    private const int MapShared = 0x01;
    private const int AdviseHugePage = 14;

    [LibraryImport(
        "libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int CreateFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int SetLength(int descriptor, long bytes);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Map(void* at, nuint bytes, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint bytes, int advice);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* start, nuint bytes);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
