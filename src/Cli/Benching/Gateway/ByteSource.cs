using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Krewe.Cli;

/// <summary>
/// Answers every request on a port with the same bytes, event by event: what stands behind the proxy that the gateway
/// is measured beside.
/// </summary>
internal sealed class ByteSource(byte[] body)
{
    /// <summary>One event a write, as a server that streams tokens sends them.</summary>
    private static readonly byte[] EventEnd = [.. "\n\n"u8];

    public async Task RunAsync(int port, CancellationToken cancellationToken)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start(backlog: 4096);
        while (!cancellationToken.IsCancellationRequested)
        {
            var client = await listener.AcceptTcpClientAsync(cancellationToken);
            _ = ServeAsync(client, cancellationToken);
        }
    }

    private async Task ServeAsync(TcpClient client, CancellationToken cancellationToken)
    {
        using var owned = client;
        client.NoDelay = true;
        var stream = client.GetStream();
        var buffer = new byte[64 << 10];
        try
        {
            // One request a connection; its headers come in one piece, and its body does not matter.
            if (await stream.ReadAsync(buffer, cancellationToken) == 0) return;
            await stream.WriteAsync(
                Encoding.ASCII.GetBytes(string.Create(
                    CultureInfo.InvariantCulture,
                    $"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {body.Length}\r\n\r\n")),
                cancellationToken);
            for (var at = 0; at < body.Length;)
            {
                var end = body.AsSpan(at).IndexOf(EventEnd);
                var length = end < 0 ? body.Length - at : end + EventEnd.Length;
                await stream.WriteAsync(body.AsMemory(at, length), cancellationToken);
                at += length;
            }
        }
        catch (IOException)
        {
            // The proxy went away.
        }
    }
}
