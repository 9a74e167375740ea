using System.Net;
using System.Net.Sockets;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>
/// Ports for processes that are told theirs, and may be started on them again. Not those that the system gives to
/// outgoing connections (32768 and up): one of these may take a port while nobody listens on it, and a client that asks
/// again and again for a server that is away even connects to itself there.
/// </summary>
internal static class Ports
{
    private const int First = 20_000;
    private const int Count = 12_000;

    /// <summary>Ports given out; two test processes begin at different ones.</summary>
    private static int _given = Environment.ProcessId * 37;

    /// <summary>The first of so many neighbouring free ports, others each time.</summary>
    public static int Free(int neighbours = 1)
    {
        while (true)
        {
            var port = First + ((Interlocked.Add(ref _given, neighbours) - neighbours) % Count);
            try
            {
                for (var offset = 0; offset < neighbours; offset++)
                {
                    using var listener = new TcpListener(IPAddress.Loopback, port + offset);
                    listener.Start();
                }

                return port;
            }
            catch (SocketException)
            {
                // Taken; others are free.
            }
        }
    }
}
