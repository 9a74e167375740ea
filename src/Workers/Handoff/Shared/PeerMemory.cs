using Krewe.Abstractions.Wire;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>
/// Another worker's <see cref="SharedMemory"/>, mapped for reading. It stays readable when that worker dies; what it
/// holds then is for the link's end to say.
/// </summary>
internal sealed unsafe partial class PeerMemory : IDisposable
{
    private readonly byte* _start;
    private readonly nuint _bytes;

    private PeerMemory(byte* start, nuint bytes)
    {
        _start = start;
        _bytes = bytes;
    }

    /// <summary>
    /// Maps what a greeting offers. False with the reason when this process cannot: another host, another user, another
    /// container's process numbers.
    /// </summary>
    /// <param name="file">Its file, where it was passed to this process; null: opened through the holder's.</param>
    public static bool TryMap(SharedOffer offer, SafeFileHandle? file, out PeerMemory? memory, out string reason)
    {
        memory = null;
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            reason = "this system shares no memory between processes";
            return false;
        }

        if (file is not null)
        {
            memory = TryMap((int)file.DangerousGetHandle(), offer, out reason);
            return memory is not null;
        }

        var path = $"/proc/{offer.Pid}/fd/{offer.File}";
        var descriptor = Open(path, ReadOnly);
        if (descriptor < 0)
        {
            reason = $"{path} cannot be opened";
            return false;
        }

        memory = TryMap(descriptor, offer, out reason);
        _ = Close(descriptor);
        return memory is not null;
    }

    /// <summary>Bytes of the peer's data, from <paramref name="offset"/> behind its head on.</summary>
    /// <exception cref="Krewe.Control.Links.FrameException">They do not lie in it.</exception>
    public ReadOnlySpan<byte> Slice(long offset, int length)
    {
        var dataBytes = (long)_bytes - SharedMemory.HeadBytes;
        if (offset < 0 || length < 0 || offset > dataBytes - length)
        {
            throw new Krewe.Control.Links.FrameException(
                $"{length} bytes at {offset} are not in the holder's {dataBytes} bytes of KV.");
        }

        return new ReadOnlySpan<byte>(_start + SharedMemory.HeadBytes + offset, length);
    }

    /// <summary>Whether the fence stands, after everything that was read before.</summary>
    public bool Stands(int slot, ulong generation)
    {
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref SharedMemory.FenceAt(_start, slot)) == generation;
    }

    public void Dispose() => _ = Unmap(_start, _bytes);

    private static PeerMemory? TryMap(int descriptor, SharedOffer offer, out string reason)
    {
        reason = "the file is not the one that was offered";
        var seals = Control(descriptor, GetSeals, 0);
        if (seals < 0 || (seals & SealShrink) == 0) return null;
        var bytes = Seek(descriptor, 0, SeekEnd);
        if (bytes < SharedMemory.HeadBytes || (ulong)bytes != offer.TotalBytes) return null;
        if (offer.FenceSlot >= SharedMemory.FencesMax) return null;
        var start = Map(null, (nuint)bytes, ProtectRead, MapShared, descriptor, 0);
        if ((nint)start == -1)
        {
            reason = "the memory cannot be mapped";
            return null;
        }

        var nonce = new ReadOnlySpan<byte>(start, SharedMemory.NonceBytes);
        if (nonce.SequenceEqual(offer.Nonce.Span)) return new PeerMemory((byte*)start, (nuint)bytes);
        _ = Unmap(start, (nuint)bytes);
        return null;
    }
}
