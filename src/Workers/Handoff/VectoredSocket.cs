using System.Net.Sockets;

namespace Krewe.Workers;

/// <summary>
/// Gathers many pieces of memory into one send and scatters one receive over many. On Linux one system call takes up to
/// <see cref="SocketVector.PartsMax"/> of them and no wait is the runtime's: a socket that once waited there wakes a
/// thread with every packet for the rest of its life, which cost a handoff a fifth of its speed.
/// </summary>
/// <param name="socket">Not owned. One that has never waited through the runtime (see
/// <see cref="TcpBlockTransport"/>), or this is only slower.</param>
internal sealed class VectoredSocket(Socket socket) : IDisposable
{
    private readonly SocketReadiness? _readiness = SocketVector.IsSupported ? new SocketReadiness(socket) : null;

    /// <summary>Sends all parts, in order.</summary>
    public async ValueTask SendAllAsync(IReadOnlyList<Memory<byte>> parts, CancellationToken cancellationToken)
    {
        var at = new PartCursor(parts);
        while (!at.IsAtEnd)
        {
            if (_readiness is null)
            {
                at = at.Past(await socket.SendAsync(at.Current, cancellationToken));
                continue;
            }

            // A message alone is not worth the thread that would wait for room.
            if (SocketVector.Send(socket.SafeHandle, at, waits: parts.Count > 1) is { } moved) at = at.Past(moved);
            else await _readiness.WhenWritableAsync(cancellationToken);
        }
    }

    /// <summary>
    /// Fills all parts, in order; each arrival is shown to <paramref name="arrived"/> while it is warm. False when the
    /// peer closed before the first byte.
    /// </summary>
    public async ValueTask<bool> FillAsync(
        IReadOnlyList<Memory<byte>> parts, Action<PartCursor, int>? arrived, CancellationToken cancellationToken)
    {
        var at = new PartCursor(parts);
        while (!at.IsAtEnd)
        {
            var moved = _readiness is null
                ? await socket.ReceiveAsync(at.Current, cancellationToken)
                : SocketVector.Receive(socket.SafeHandle, at);
            switch (moved)
            {
                case null:
                    await _readiness!.WhenReadableAsync(cancellationToken);
                    break;
                case 0:
                    return at.IsAtStart
                        ? false
                        : throw new IOException("The data link closed in the middle of a frame.");
                case { } bytes:
                    arrived?.Invoke(at, bytes);
                    at = at.Past(bytes);
                    break;
            }
        }

        return true;
    }

    /// <summary>To be called after the socket was closed: whoever waits finds it so.</summary>
    public void Dispose() => _readiness?.Dispose();
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
