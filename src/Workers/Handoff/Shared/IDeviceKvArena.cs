using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// An arena in a GPU's memory. Where it can be opened by other processes of the host, <see
/// cref="ISharedKvArena.Shared"/> has the nonce and the fences, and the blocks lie behind <see cref="Handle"/>.
/// </summary>
internal interface IDeviceKvArena : ISharedKvArena
{
    /// <summary>What peers open the memory by; null where the driver gives nothing.</summary>
    byte[]? Handle { get; }

    /// <summary>
    /// Returns when these bytes, which were announced as stored, are stored: then a peer may copy them. Throws
    /// <see cref="IOException"/> when the GPU fails.
    /// </summary>
    void WaitUntilStored(ReadOnlySpan<BlockSlice> slices);

    /// <summary>Opens the memory that a peer offers; null with the reason when this GPU cannot.</summary>
    IPeerDevice? TryOpen(SharedOffer offer, out string reason);
}

/// <summary>A peer's KV memory on a GPU, open for copying out of.</summary>
internal interface IPeerDevice : IDisposable
{
    /// <summary>
    /// Copies what the list names (<see cref="SliceList"/>) into these blocks of the own arena; it is there on return.
    /// Throws <see cref="Krewe.Control.Links.FrameException"/> on a list that does not fit, <see cref="IOException"/>
    /// when the copy fails.
    /// </summary>
    void CopyIn(ReadOnlySpan<byte> list, ReadOnlySpan<BlockSlice> room);
}
