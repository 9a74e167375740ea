using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>
/// The thread that waits for all data links of the process, by epoll (Linux). A socket tells of itself once each time
/// that somebody asks, and not with every packet, which is what the runtime's own poller has it do.
/// </summary>
internal sealed unsafe partial class SocketPoller
{
    private const int EventsMax = 64;
    private const int CloseOnExec = 0x80000;
    private const int Add = 1;
    private const int Change = 3;
    private const int NoEntry = 2;
    private const int Interrupted = 4;
    private const uint Readable = 0x1;
    private const uint Writable = 0x4;
    private const uint Failed = 0x8 | 0x10;
    private const uint Once = 1u << 30;

    // struct epoll_event is packed on x86-64 alone.
    private static readonly int PlaceOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private static readonly int EventBytes = PlaceOffset + sizeof(ulong);

    private static readonly Lazy<SocketPoller> Only = new(() => new SocketPoller());

    private readonly ConcurrentDictionary<ulong, SocketReadiness> _sockets = new();
    private readonly int _epoll;
    private ulong _lastPlace;

    private SocketPoller()
    {
        _epoll = Create(CloseOnExec);
        if (_epoll < 0) throw Refused();
        new Thread(Run) { IsBackground = true, Name = "krewe-data-links" }.Start();
    }

    /// <exception cref="IOException">The system gives no more file handles.</exception>
    public static SocketPoller Shared => Only.Value;

    public ulong Enter(SocketReadiness socket)
    {
        var place = Interlocked.Increment(ref _lastPlace);
        _sockets[place] = socket;
        return place;
    }

    /// <summary>The kernel has forgotten a socket that is closed.</summary>
    public void Leave(ulong place) => _sockets.TryRemove(place, out _);

    /// <summary>
    /// Asks for one <see cref="SocketReadiness.Tell"/>, as soon as one of the two is so; a later call replaces an
    /// earlier one.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    /// <exception cref="IOException">The system refuses.</exception>
    public void Ask(SafeSocketHandle socket, ulong place, bool readable, bool writable)
    {
        var wanted = stackalloc byte[EventBytes];
        *(uint*)wanted = Once | (readable ? Readable : 0) | (writable ? Writable : 0);
        *(ulong*)(wanted + PlaceOffset) = place;
        if (Control(_epoll, Change, socket, wanted) == 0) return;
        if (Marshal.GetLastPInvokeError() != NoEntry || Control(_epoll, Add, socket, wanted) != 0) throw Refused();
    }

    private void Run()
    {
        var events = stackalloc byte[EventsMax * EventBytes];
        while (true)
        {
            var count = Wait(_epoll, events, EventsMax, timeoutMs: -1);
            if (count < 0 && Marshal.GetLastPInvokeError() != Interrupted) throw Refused();
            for (var i = 0; i < count; i++)
            {
                var happened = events + (i * EventBytes);
                if (!_sockets.TryGetValue(*(ulong*)(happened + PlaceOffset), out var socket)) continue;
                var what = *(uint*)happened;
                socket.Tell((what & (Readable | Failed)) != 0, (what & (Writable | Failed)) != 0);
            }
        }
    }

    private static IOException Refused() => new(
        $"Data links cannot be waited for: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Create(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(int epoll, int operation, SafeSocketHandle socket, byte* wanted);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Wait(int epoll, byte* events, int count, int timeoutMs);
}
