using System.Buffers;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>
/// sendmsg and recvmsg over native memory, which the runtime's sockets take only one piece at a time. When nothing can
/// move they may wait in the kernel, <see cref="WaitMs"/> at most: any other way to wake up costs more than the other
/// end takes to move a buffer. 64-bit Linux only.
/// </summary>
internal static unsafe partial class SocketVector
{
    /// <summary>Pieces in one system call; the kernel's own limit is 1,024.</summary>
    public const int PartsMax = 128;

    /// <summary>
    /// Bytes of one receive, for their checksum is computed behind it: few enough to be in the cache still.
    /// </summary>
    private const int ReceiveBytesMax = 128 << 10;

    /// <summary>A moment in which a sound peer moves megabytes; a hung one must not cost a thread for longer.</summary>
    private const int WaitMs = 5;

    private const int DoNotWait = 0x40;
    private const short Readable = 0x1;
    private const short Writable = 0x4;
    private const int NoSignal = 0x4000;

    private const int Interrupted = 4;
    private const int TryAgain = 11;

    public static bool IsSupported { get; } = OperatingSystem.IsLinux() && Environment.Is64BitProcess;

    /// <summary>Bytes that the kernel took; null when it takes none now.</summary>
    /// <param name="waits">For a moment, until it does.</param>
    /// <exception cref="IOException">The link broke.</exception>
    public static int? Send(SafeSocketHandle socket, in PartCursor from, bool waits) =>
        Move(socket, from, send: true, waits);

    /// <summary>
    /// Bytes that came, 0 at the end of the stream; null when none are there, after waiting a moment.
    /// </summary>
    /// <exception cref="IOException">The link broke.</exception>
    public static int? Receive(SafeSocketHandle socket, in PartCursor into) =>
        Move(socket, into, send: false, waits: true);

    private static int? Move(SafeSocketHandle socket, in PartCursor at, bool send, bool waits)
    {
        var left = send ? int.MaxValue : ReceiveBytesMax;
        var count = 0;
        var vectors = stackalloc IoVector[PartsMax];
        var pins = new MemoryHandle[Math.Min(PartsMax, at.Parts.Count - at.Part)];
        try
        {
            while (count < pins.Length && left > 0)
            {
                var part = count == 0 ? at.Current : at.Parts[at.Part + count];
                pins[count] = part.Pin();
                var length = Math.Min(left, part.Length);
                vectors[count] = new IoVector { Start = pins[count].Pointer, Length = (nuint)length };
                left -= length;
                count++;
            }

            var message = new MessageHeader { Vectors = vectors, VectorCount = (nuint)count };
            var moved = Move(socket, &message, send);
            if (moved is null && waits && Wait(socket, send ? Writable : Readable))
                moved = Move(socket, &message, send);
            return moved;
        }
        finally
        {
            foreach (ref var pin in pins.AsSpan()) pin.Dispose();
        }
    }

    private static int? Move(SafeSocketHandle socket, MessageHeader* message, bool send)
    {
        var moved = send
            ? SendMessage(socket, message, DoNotWait | NoSignal)
            : ReceiveMessage(socket, message, DoNotWait);
        if (moved >= 0) return (int)moved;
        var error = Marshal.GetLastPInvokeError();
        return error is TryAgain or Interrupted
            ? null
            : throw new IOException($"The data link broke: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    private static bool Wait(SafeSocketHandle socket, short events)
    {
        var held = false;
        try
        {
            socket.DangerousAddRef(ref held);
            var poll = new PollDescriptor { Descriptor = (int)socket.DangerousGetHandle(), Events = events };
            return Poll(&poll, 1, WaitMs) > 0;
        }
        catch (ObjectDisposedException)
        {
            return false; // closed meanwhile: the next call says so
        }
        finally
        {
            if (held) socket.DangerousRelease();
        }
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Poll(PollDescriptor* descriptors, nuint count, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint SendMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint ReceiveMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    /// <summary>struct pollfd.</summary>
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Happened;
    }

    /// <summary>struct iovec.</summary>
    private struct IoVector
    {
        public void* Start;
        public nuint Length;
    }

    /// <summary>struct msghdr, 64-bit.</summary>
    private struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }
}
