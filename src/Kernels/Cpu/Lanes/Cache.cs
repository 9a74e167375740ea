using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Kernels;

/// <summary>Hints to the cache; they never change a result.</summary>
internal static unsafe class Cache
{
    public const int LineBytes = 64;

    /// <summary>
    /// Asks for the line <paramref name="bytes"/> behind <paramref name="address"/>, which need not be readable.
    /// Nothing on processors without such an instruction in .NET.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address, nint bytes)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address + bytes);
    }
}
