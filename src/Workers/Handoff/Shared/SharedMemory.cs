using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>
/// Memory of this process that others of the same host and user can map for reading: an anonymous file, which the
/// kernel frees with its last mapping, so that no crash leaves anything behind. Its size is sealed: whoever maps it can
/// never be sent a bus error. In front of the data lie a nonce, by which a peer knows that it mapped the right file
/// and is on the right host, and the fences of the links (<see cref="Fence"/>).
/// </summary>
internal sealed unsafe partial class SharedMemory : IDisposable
{
    /// <summary>Bytes before the data; a multiple of every page size in use.</summary>
    public const int HeadBytes = 64 << 10;

    public const int NonceBytes = 16;

    /// <summary>Links that can use the memory at once; further ones travel by TCP.</summary>
    public const int FencesMax = 4096;

    private const int PageBytes = 4096;
    private const int FencesStart = PageBytes;

    private readonly Lock _lock = new();
    private readonly Stack<int> _freeFences = new();
    private readonly int _descriptor;
    private readonly nuint _bytes;
    private byte* _start;
    private ulong _generations;

    private SharedMemory(int descriptor, byte* start, nuint bytes)
    {
        _start = start;
        (_descriptor, _bytes) = (descriptor, bytes);
        Nonce = RandomNumberGenerator.GetBytes(NonceBytes);
        Nonce.CopyTo(new Span<byte>(start, NonceBytes));
        for (var slot = FencesMax - 1; slot >= 0; slot--) _freeFences.Push(slot);
    }

    ~SharedMemory() => Free();

    /// <summary>The first byte behind the head.</summary>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public byte* Data => _start is not null
        ? _start + HeadBytes
        : throw new ObjectDisposedException(nameof(SharedMemory));

    /// <summary>Bytes of head and data.</summary>
    public long TotalBytes => (long)_bytes;

    /// <summary>The file's number in this process: peers open it through the process's folder.</summary>
    public int Descriptor => _descriptor;

    public byte[] Nonce { get; }

    /// <summary>
    /// Zeroed memory of <paramref name="dataBytes"/> bytes and a page of slack; null where the system has no such
    /// thing.
    /// </summary>
    public static SharedMemory? TryCreate(long dataBytes)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess) return null;
        var bytes = (nuint)(HeadBytes + dataBytes + PageBytes);
        var descriptor = CreateFile("krewe-kv", CloseOnExecAllowSealing);
        if (descriptor < 0) return null;
        if (SetLength(descriptor, (long)bytes) == 0 && Control(descriptor, AddSeals, SealsOfFixedSize) == 0)
        {
            var start = Map(null, bytes, ProtectReadWrite, MapShared, descriptor, 0);
            if ((nint)start != -1)
            {
                // Advice before the first touch; then touched now: a step must not wait for pages, and a peer finds
                // them all there.
                _ = Advise(start, bytes, AdviseHugePage);
                NativeMemory.Clear(start, bytes);
                return new SharedMemory(descriptor, (byte*)start, bytes);
            }
        }

        _ = Close(descriptor);
        return null;
    }

    /// <summary>The file under a number of its own, which stays it until the handle ends.</summary>
    /// <exception cref="IOException">There is no number left.</exception>
    public SafeFileHandle Duplicate()
    {
        var copy = Control(_descriptor, DuplicateCloseOnExec, 0);
        return copy >= 0
            ? new SafeFileHandle(copy, ownsHandle: true)
            : throw new IOException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
    }

    /// <summary>A fence that stands; null when all are in use.</summary>
    public Fence? RaiseFence()
    {
        lock (_lock)
        {
            if (!_freeFences.TryPop(out var slot)) return null;
            var generation = ++_generations;
            Volatile.Write(ref FenceAt(_start, slot), generation);
            return new Fence(this, slot, generation);
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>A fence's word in a mapping of such memory.</summary>
    internal static ref ulong FenceAt(byte* start, int slot) =>
        ref *(ulong*)(start + FencesStart + (slot * sizeof(ulong)));

    private void Free()
    {
        if (_start is null) return;
        _ = Unmap(_start, _bytes);
        _ = Close(_descriptor);
        _start = null;
    }

    /// <summary>
    /// One link's right to read. The reader looks after each copy whether the fence still stands: then nothing that it
    /// copied was free. The holder lowers it before it frees what the link was offered, and never waits for a reader.
    /// </summary>
    internal sealed class Fence(SharedMemory memory, int slot, ulong generation)
    {
        private bool _returned;

        public int Slot => slot;

        public ulong Generation => generation;

        /// <summary>From now on every reader of this link knows its copies to be void. Any thread.</summary>
        public void Lower()
        {
            lock (memory._lock)
            {
                if (_returned || memory._start is null) return;

                // A full barrier: no write to a freed block can be seen before it.
                Interlocked.Exchange(ref FenceAt(memory._start, slot), 0);
            }
        }

        /// <summary>
        /// Lowers the fence and gives its place back. The next one in that place has another generation.
        /// </summary>
        public void Return()
        {
            Lower();
            lock (memory._lock)
            {
                if (_returned) return;
                _returned = true;
                memory._freeFences.Push(slot);
            }
        }
    }
}
