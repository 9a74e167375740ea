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
    private readonly SafeFileHandle? _head;

    /// <param name="head">Ends with this.</param>
    private SharedHolder(
        SharedMemory memory, MeetingSocket? meeting, SafeFileHandle? head, IReadOnlyList<DevicePart> devices)
    {
        (Memory, _meeting, _head) = (memory, meeting, head);
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
            return new SharedHolder(memory, null, null, device?.Offered ?? []);
        // A copy: an answer may be under way when the memory ends, and its number may be another file's by then.
        var head = memory.Duplicate();
        try
        {
            SafeFileHandle[] files = [head, .. device?.Files ?? []];
            var meeting = MeetingSocket.Open(folder ?? MeetingSocket.UsualFolder, memory.Nonce, files, time);
            return new SharedHolder(memory, meeting, head, device?.Offered ?? []);
        }
        catch
        {
            head.Dispose();
            throw;
        }
    }

    /// <summary>For one link.</summary>
    public SharedOffer Offer(SharedMemory.Fence fence)
    {
        var offer = _offer.Clone();
        (offer.FenceSlot, offer.FenceGeneration) = ((uint)fence.Slot, fence.Generation);
        return offer;
    }

    public void Dispose()
    {
        _meeting?.Dispose();
        _head?.Dispose();
    }
}
