using System.Runtime.InteropServices;

namespace Krewe.Kernels;

/// <summary>
/// Large arrays ask Linux for 2 MiB pages: a decode step reads all weights once, and with 4 KiB pages every 64th line
/// waits for an address translation too (about 5 % of the measured read bandwidth).
/// </summary>
internal static unsafe partial class HugePages
{
    public const int PageBytes = 2 << 20;

    /// <summary>MADV_HUGEPAGE of Linux' madvise.</summary>
    private const int AdviseHugePage = 14;

    /// <summary>Whether an array of this size is worth whole huge pages.</summary>
    public static bool AreWorthwhile(nuint bytes) => OperatingSystem.IsLinux() && bytes >= 2 * PageBytes;

    /// <summary>Only advice: where the kernel does not take it, the memory works all the same.</summary>
    public static void Advise(void* start, nuint bytes)
    {
        if (OperatingSystem.IsLinux()) _ = Madvise(start, bytes, AdviseHugePage);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* start, nuint bytes, int advice);
}
