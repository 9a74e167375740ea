namespace Krewe.Workers;

/// <summary>An arena in device memory whose copies need no detour where the host's memory is pinned.</summary>
internal interface IPinningArena : IKvArena
{
    /// <summary>
    /// Pins page-aligned host memory until the result is disposed, which must come before it is freed and when no copy
    /// is under way. Null with the reason when the system does not let it be pinned: copies then take the detour.
    /// </summary>
    IDisposable? TryPin(nint address, long bytes, out string reason);
}
