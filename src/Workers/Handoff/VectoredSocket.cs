using System.Net.Sockets;

namespace Krewe.Workers;

/// <summary>
/// Gathers many pieces of memory into one send and scatters one receive over many. Where the kernel can (Linux) one
/// system call takes up to <see cref="SocketVector.PartsMax"/> of them; the runtime's own socket waits when nothing can
/// move, and takes over elsewhere.
/// </summary>
internal static class VectoredSocket
{
    /// <summary>Sends all parts, in order.</summary>
    public static async ValueTask SendAllAsync(
        this Socket socket, IReadOnlyList<Memory<byte>> parts, CancellationToken cancellationToken)
    {
        var at = new PartCursor(parts);
        while (!at.IsAtEnd)
        {
            // A message alone is not worth the thread that would wait for room.
            var moved = parts.Count == 1 ? 0 : SocketVector.TrySend(socket.SafeHandle, at);
            at = at.Past(moved > 0 ? moved : await socket.SendAsync(at.Current, cancellationToken));
        }
    }

    /// <summary>
    /// Fills all parts, in order; each arrival is shown to <paramref name="arrived"/> while it is warm. False when the
    /// peer closed before the first byte.
    /// </summary>
    public static async ValueTask<bool> FillAsync(
        this Socket socket, IReadOnlyList<Memory<byte>> parts, Action<PartCursor, int>? arrived,
        CancellationToken cancellationToken)
    {
        var at = new PartCursor(parts);
        while (!at.IsAtEnd)
        {
            var moved = SocketVector.TryReceive(socket.SafeHandle, at);
            if (moved == 0) moved = await socket.ReceiveAsync(at.Current, cancellationToken);
            if (moved == 0 && at.IsAtStart) return false;
            if (moved == 0) throw new IOException("The data link closed in the middle of a frame.");
            arrived?.Invoke(at, moved);
            at = at.Past(moved);
        }

        return true;
    }
}

/// <summary>A place in a list of memory: part and byte in it.</summary>
internal readonly record struct PartCursor(IReadOnlyList<Memory<byte>> Parts, int Part = 0, int Start = 0)
{
    public bool IsAtStart => Part == 0 && Start == 0;

    public bool IsAtEnd => Part == Parts.Count;

    /// <summary>What is left of the part.</summary>
    public Memory<byte> Current => Parts[Part][Start..];

    public PartCursor Past(int bytes)
    {
        var (part, start) = (Part, Start + bytes);
        while (part < Parts.Count && start >= Parts[part].Length) start -= Parts[part++].Length;
        return new PartCursor(Parts, part, start);
    }
}
