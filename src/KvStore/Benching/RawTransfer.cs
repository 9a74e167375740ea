using Krewe.KvStore.Devices;
using Krewe.KvStore.Devices.Uring;
using Krewe.KvStore.Memory;
using Microsoft.Win32.SafeHandles;

namespace Krewe.KvStore.Benching;

/// <summary>One transfer of a raw run.</summary>
internal readonly record struct RawIo(int File, long Offset);

/// <summary>
/// What the disk can do: a bare io_uring loop on one thread, registered files and memory, no checks, no tasks, always
/// as many I/Os in flight as asked. The limit that the store is held against.
/// </summary>
internal static unsafe class RawTransfer
{
    /// <summary>Moves all of <paramref name="transfers"/>; returns how long it took.</summary>
    /// <param name="buffers">One for each I/O in flight: the same memory that the store is measured with.</param>
    /// <exception cref="KvStoreException">The kernel refuses io_uring, or an I/O failed.</exception>
    public static TimeSpan Run(
        IReadOnlyList<string> paths, IReadOnlyList<RawIo> transfers, int bytes,
        IReadOnlyList<NativeBuffer> buffers, bool write, TimeProvider time)
    {
        using var ring = UringRing.TryCreate(buffers.Count, out var refusal);
        if (ring is null) throw new KvStoreException(KvStoreError.DeviceUnavailable, $"No raw limit: {refusal}.");
        var registrations = new UringRegistrations();
        registrations.Prepare(ring);
        foreach (var buffer in buffers) registrations.TryAddMemory(ring, buffer);
        var files = paths.Select(path => DirectFile.Open(path, 0, direct: true)).ToArray();
        try
        {
            var indices = files.Select(file => registrations.TryAddFile(ring, Descriptor(file))).ToArray();
            var started = time.GetTimestamp();
            Transfer(new Work(ring, registrations, buffers, files, indices, transfers, bytes, write));
            return time.GetElapsedTime(started);
        }
        finally
        {
            foreach (var file in files) file.Dispose();
        }
    }

    private static void Transfer(Work work)
    {
        var (next, ended) = (0, 0);
        var free = new Stack<int>(Enumerable.Range(0, work.Buffers.Count));
        while (ended < work.Transfers.Count)
        {
            while (next < work.Transfers.Count && free.TryPop(out var place))
                Submit(work, work.Transfers[next++], place);
            if (work.Ring.Enter() is var error and not 0)
                throw new KvStoreException(KvStoreError.DeviceUnavailable, $"The raw ring broke (error {error}).");
            while (work.Ring.TryReap(out var completion))
            {
                if (completion.Result != work.Bytes)
                {
                    throw new KvStoreException(
                        KvStoreError.ReadFailed, $"A raw I/O moved {completion.Result} of {work.Bytes} bytes.");
                }

                free.Push((int)completion.UserData);
                ended++;
            }
        }
    }

    private static void Submit(Work work, RawIo io, int place)
    {
        ref var entry = ref work.Ring.Next();
        var address = work.Buffers[place].Address;
        var index = work.FileIndices[io.File];
        entry.UserData = (ulong)place;
        entry.File = index ?? Descriptor(work.Files[io.File]);
        entry.Flags = index is null ? (byte)0 : UringAbi.FlagFixedFile;
        entry.Offset = (ulong)io.Offset;
        entry.Address = (ulong)address;
        entry.Length = (uint)work.Bytes;
        if (work.Registrations.FindMemory(address, work.Bytes) is { } buffer)
        {
            entry.Operation = work.Write ? UringAbi.OpWriteFixed : UringAbi.OpReadFixed;
            entry.BufferIndex = (ushort)buffer;
        }
        else
        {
            entry.Operation = work.Write ? UringAbi.OpWrite : UringAbi.OpRead;
        }
    }

    private static int Descriptor(SafeFileHandle file) => (int)file.DangerousGetHandle();

    private sealed record Work(
        UringRing Ring, UringRegistrations Registrations, IReadOnlyList<NativeBuffer> Buffers, SafeFileHandle[] Files,
        int?[] FileIndices, IReadOnlyList<RawIo> Transfers, int Bytes, bool Write);
}
