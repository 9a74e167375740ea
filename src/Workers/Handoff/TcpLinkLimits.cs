using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>What the TCP data links of a worker are held to; the default is nothing.</summary>
/// <param name="BytesPerSecond">Most that one link sends; the kernel paces it, whatever its congestion control.</param>
/// <param name="Connections">Most that one link has; 0 as 1. A link that is paced has one.</param>
/// <param name="Proxy">See <see cref="WorkerOptions.TestDataProxy"/>.</param>
/// <param name="LanesFromBytes">What a transfer must have for more than one connection.</param>
internal readonly record struct TcpLinkLimits(
    long? BytesPerSecond, int Connections, IPEndPoint? Proxy, long LanesFromBytes = HandoffLimits.LanesFromBytes)
{
    /// <summary>SOL_SOCKET and SO_MAX_PACING_RATE of Linux.</summary>
    private const int SocketLevel = 1;

    private const int PacingRateMax = 47;

    public static TcpLinkLimits Of(WorkerOptions options) =>
        options.DataLinkBytesPerSecond is { } rate
            ? new(rate, 1, options.TestDataProxy)
            : new(null, options.DataConnections, options.TestDataProxy);

    public void ApplyTo(Socket socket)
    {
        if (BytesPerSecond is { } rate)
            socket.SetRawSocketOption(SocketLevel, PacingRateMax, BitConverter.GetBytes(rate));
    }
}
