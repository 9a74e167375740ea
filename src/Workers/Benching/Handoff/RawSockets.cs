using System.Net;
using System.Net.Sockets;

namespace Krewe.Workers;

/// <summary>
/// The limit that handoff by TCP is held against: the same bytes of the same arenas, block after block through plain
/// blocking sockets, nothing else. Each socket has a thread of its own on either side; the usual limit is one socket.
/// </summary>
internal static class RawSockets
{
    private const int SendBytes = 1 << 20;

    /// <summary>Sends the arena's first bytes to whoever connects.</summary>
    public static void Serve(Socket listener, IKvArena arena, long bytes, int ways)
    {
        var sockets = new Socket[ways];
        for (var way = 0; way < ways; way++) sockets[way] = listener.Accept();
        ForEachPart(sockets, arena, bytes, (socket, part) =>
        {
            while (part.Length > 0) part = part[socket.Send(part.Span)..];
        });
    }

    /// <summary>Seconds to take as many bytes into this arena.</summary>
    public static double Take(int port, IKvArena arena, long bytes, int ways, TimeProvider time)
    {
        var sockets = new Socket[ways];
        for (var way = 0; way < ways; way++)
        {
            sockets[way] = new Socket(SocketType.Stream, ProtocolType.Tcp);
            sockets[way].Connect(IPAddress.Loopback, port);
        }

        var begun = time.GetTimestamp();
        ForEachPart(sockets, arena, bytes, (socket, part) =>
        {
            while (part.Length > 0)
            {
                var count = socket.Receive(part.Span);
                if (count == 0) throw new IOException("The raw copy ended early.");
                part = part[count..];
            }
        });
        return time.GetElapsedTime(begun).TotalSeconds;
    }

    /// <summary>The sockets take the parts by turns. Closes them.</summary>
    private static void ForEachPart(Socket[] sockets, IKvArena arena, long bytes, Action<Socket, Memory<byte>> act)
    {
        var threads = Enumerable.Range(1, sockets.Length - 1).Select(turn => new Thread(() => Act(turn))).ToArray();
        foreach (var thread in threads) thread.Start();
        Act(0);
        foreach (var thread in threads) thread.Join();
        foreach (var socket in sockets) socket.Dispose();

        void Act(int turn) => ForEachPart(arena, bytes, (index, part) =>
        {
            if (index % sockets.Length == turn) act(sockets[turn], part);
        });
    }

    private static void ForEachPart(IKvArena arena, long bytes, Action<int, Memory<byte>> act)
    {
        var index = 0;
        for (var block = 0; bytes > 0; block++)
        {
            if (!arena.TryGetMemory(new Krewe.Abstractions.BlockId(block), out var memory))
                throw new NotSupportedException("Only host memory is measured.");
            for (var at = 0; at < memory.Length && bytes > 0; at += SendBytes)
            {
                var part = memory[at..Math.Min(memory.Length, at + SendBytes)];
                act(index++, part);
                bytes -= part.Length;
            }
        }
    }
}
