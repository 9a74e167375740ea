using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Krewe.Cli;

/// <summary>The limit of a copy between two processes of this machine over TCP: bytes through one loopback
/// socket.</summary>
internal static class LoopbackCopy
{
    private const int ChunkBytes = 1 << 20;
    private const int Chunks = 256;

    /// <summary>Bytes a second; the best of three.</summary>
    public static async Task<double> MeasureAsync(CancellationToken cancellationToken)
    {
        var best = 0.0;
        for (var i = 0; i < 3; i++) best = Math.Max(best, await CopyAsync(cancellationToken));
        return best;
    }

    private static async Task<double> CopyAsync(CancellationToken cancellationToken)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var sender = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await sender.ConnectAsync(listener.LocalEndpoint, cancellationToken);
        using var receiver = await listener.AcceptSocketAsync(cancellationToken);
        var begun = Stopwatch.GetTimestamp();
        var sending = Task.Run(async () =>
        {
            var chunk = new byte[ChunkBytes];
            for (var i = 0; i < Chunks; i++)
            {
                for (var sent = 0; sent < ChunkBytes;)
                    sent += await sender.SendAsync(chunk.AsMemory(sent), cancellationToken);
            }
        }, cancellationToken);
        var room = new byte[ChunkBytes];
        for (var left = (long)ChunkBytes * Chunks; left > 0;)
            left -= await receiver.ReceiveAsync(room, cancellationToken);
        await sending;
        return (double)ChunkBytes * Chunks / Stopwatch.GetElapsedTime(begun).TotalSeconds;
    }
}
