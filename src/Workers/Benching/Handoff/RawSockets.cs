using System.Net;
using System.Net.Sockets;

namespace Krewe.Workers;

/// <summary>
/// The limit that handoff by TCP is held against: the same bytes of the same arenas, block after block through one
/// plain blocking socket, nothing else.
/// </summary>
internal static class RawSockets
{
    private const int SendBytes = 1 << 20;

    /// <summary>Sends the arena's first bytes to whoever connects.</summary>
    public static void Serve(Socket listener, IKvArena arena, long bytes)
    {
        using var socket = listener.Accept();
        ForEachPart(arena, bytes, part =>
        {
            while (part.Length > 0) part = part[socket.Send(part.Span)..];
        });
    }

    /// <summary>Seconds to take as many bytes into this arena.</summary>
    public static double Take(int port, IKvArena arena, long bytes, TimeProvider time)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Connect(IPAddress.Loopback, port);
        var begun = time.GetTimestamp();
        ForEachPart(arena, bytes, part =>
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

    private static void ForEachPart(IKvArena arena, long bytes, Action<Memory<byte>> act)
    {
        for (var block = 0; bytes > 0; block++)
        {
            if (!arena.TryGetMemory(new Krewe.Abstractions.BlockId(block), out var memory))
                throw new NotSupportedException("Only host memory is measured.");
            for (var at = 0; at < memory.Length && bytes > 0; at += SendBytes)
            {
                var part = memory[at..Math.Min(memory.Length, at + SendBytes)];
                act(part);
                bytes -= part.Length;
            }
        }
    }
}
