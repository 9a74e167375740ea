using Google.Protobuf;
using Krewe.Abstractions.Wire;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>What a worker offers to peers of its host: its arena's memory, and the place where its files are had.
/// </summary>
internal sealed class SharedHolder : IDisposable
{
    private readonly SharedOffer _offer;
    private readonly MeetingSocket? _meeting;

    private SharedHolder(SharedMemory memory, MeetingSocket? meeting, IReadOnlyList<DevicePart> devices)
    {
        (Memory, _meeting) = (memory, meeting);
        _offer = new SharedOffer
        {
            Pid = (uint)Environment.ProcessId,
            File = (uint)memory.Descriptor,
            Nonce = ByteString.CopyFrom(memory.Nonce),
            TotalBytes = (ulong)memory.TotalBytes,
            Meeting = meeting?.Path ?? "",
        };
        _offer.Devices.AddRange(devices);
    }

    public SharedMemory Memory { get; }

    /// <summary>Null where the arena is this process's own.</summary>
    /// <param name="folder">
    /// Where peers meet; null: the usual place, and only for memory that cannot be opened otherwise.
    /// </param>
    /// <exception cref="IOException">They cannot meet there.</exception>
    public static SharedHolder? Open(IKvArena arena, string? folder, TimeProvider time)
    {
        if (arena is not ISharedKvArena { Shared: { } memory }) return null;
        var device = arena as IDeviceKvArena;
        if (folder is null && device is not { Files.Count: > 0 })
            return new SharedHolder(memory, null, device?.Offered ?? []);
        SafeFileHandle[] files =
        [
            new SafeFileHandle(memory.Descriptor, ownsHandle: false), .. device?.Files ?? [],
        ];
        return new SharedHolder(
            memory, MeetingSocket.Open(folder ?? MeetingSocket.UsualFolder, memory.Nonce, files, time),
            device?.Offered ?? []);
    }

    /// <summary>For one link.</summary>
    public SharedOffer Offer(SharedMemory.Fence fence)
    {
        var offer = _offer.Clone();
        (offer.FenceSlot, offer.FenceGeneration) = ((uint)fence.Slot, fence.Generation);
        return offer;
    }

    public void Dispose() => _meeting?.Dispose();
}
