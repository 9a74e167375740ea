using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// What attention asks of memory while it computes. One line asked for at a time, between multiply-adds, keeps the
/// processor's few outstanding misses busy; a burst for a whole tile would stall on them.
/// </summary>
internal unsafe interface IAttentionAhead
{
    static abstract bool IsCold { get; }

    /// <summary>Asks for the line <paramref name="bytes"/> behind <paramref name="address"/>.</summary>
    static abstract void Ask(byte* address, nint bytes);
}

/// <summary>A decode meets its context cold, in blocks anywhere in memory.</summary>
internal readonly unsafe struct ColdContext : IAttentionAhead
{
    public static bool IsCold => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Ask(byte* address, nint bytes) => Cache.Prefetch(address, bytes);
}

/// <summary>A prefill has just written or read its context.</summary>
internal readonly unsafe struct WarmContext : IAttentionAhead
{
    public static bool IsCold => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Ask(byte* address, nint bytes)
    {
    }
}
