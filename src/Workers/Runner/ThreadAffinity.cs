using System.Runtime.InteropServices;
using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// Binds threads to cores (Linux' sched_setaffinity), so that a step's threads neither share a core nor leave warm
/// caches behind. A core that the process may not use is refused before any thread is bound.
/// </summary>
internal static unsafe partial class ThreadAffinity
{
    /// <summary>Linux' own limit of a static mask.</summary>
    private const int CoresMax = 1024;

    private const int MaskBytes = CoresMax / 8;

    /// <summary>Cores that this process may use, ascending.</summary>
    /// <exception cref="KreweException">The system cannot bind threads.</exception>
    public static IReadOnlyList<int> AllowedCores()
    {
        if (!OperatingSystem.IsLinux())
            throw Invalid("--pin needs Linux; leave it out here.");
        var mask = stackalloc byte[MaskBytes];
        new Span<byte>(mask, MaskBytes).Clear();
        if (GetAffinity(0, MaskBytes, mask) < 0)
            throw Invalid($"The cores of this process cannot be read (errno {Marshal.GetLastPInvokeError()}).");
        var cores = new List<int>();
        for (var core = 0; core < CoresMax; core++)
        {
            if ((mask[core / 8] & (1 << (core % 8))) != 0) cores.Add(core);
        }

        return cores;
    }

    /// <exception cref="KreweException">A core is not this process's to use.</exception>
    public static void Demand(IReadOnlyList<int> cores)
    {
        var allowed = AllowedCores();
        foreach (var core in cores)
        {
            if (!allowed.Contains(core))
                throw Invalid($"--pin names core {core}; this process may use {string.Join(',', allowed)}.");
        }
    }

    /// <summary>Binds the calling thread to one core.</summary>
    public static void BindCallingThread(int core)
    {
        var mask = stackalloc byte[MaskBytes];
        new Span<byte>(mask, MaskBytes).Clear();
        mask[core / 8] = (byte)(1 << (core % 8));
        if (SetAffinity(0, MaskBytes, mask) != 0)
            throw Invalid($"A thread cannot be bound to core {core} (errno {Marshal.GetLastPInvokeError()}).");
    }

    private static KreweException Invalid(string message) => new(ErrorCode.InvalidOptions, message);

    [LibraryImport("libc", EntryPoint = "sched_getaffinity", SetLastError = true)]
    private static partial int GetAffinity(int thread, nuint bytes, byte* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    private static partial int SetAffinity(int thread, nuint bytes, byte* mask);
}
