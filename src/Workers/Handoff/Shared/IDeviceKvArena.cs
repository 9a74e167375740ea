using Krewe.Abstractions.Wire;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>
/// An arena in the memory of one GPU or several. Where it can be opened by other processes of the host, <see
/// cref="ISharedKvArena.Shared"/> has the nonce and the fences, and the blocks lie behind <see cref="Offered"/>.
/// </summary>
internal interface IDeviceKvArena : ISharedKvArena
{
    /// <summary>What peers open the memory by, for each GPU; empty where the driver gives nothing.</summary>
    IReadOnlyList<DevicePart> Offered { get; }

    /// <summary>The descriptors of those that have no handle, in their order.</summary>
    IReadOnlyList<SafeFileHandle> Files { get; }

    /// <summary>
    /// Returns when these bytes, which were announced as stored, are stored: then a peer may copy them. Throws
    /// <see cref="IOException"/> when a GPU fails.
    /// </summary>
    void WaitUntilStored(ReadOnlySpan<BlockSlice> slices);

    /// <summary>Opens the memory that a peer offers; null with the reason when these GPUs cannot.</summary>
    /// <param name="files">Those of the peer's <see cref="Files"/> that came; they stay the caller's.</param>
    IPeerDevice? TryOpen(SharedOffer offer, ReadOnlySpan<SafeFileHandle> files, out string reason);
}

/// <summary>A peer's KV memory on GPUs, open for copying out of.</summary>
internal interface IPeerDevice : IDisposable
{
    /// <summary>
    /// Copies what the list names (<see cref="SliceList"/>) into these blocks of the own arena; it is there on return.
    /// Throws <see cref="Krewe.Control.Links.FrameException"/> on a list that does not fit, <see cref="IOException"/>
    /// when the copy fails.
    /// </summary>
    void CopyIn(ReadOnlySpan<byte> list, ReadOnlySpan<BlockSlice> room);
}
