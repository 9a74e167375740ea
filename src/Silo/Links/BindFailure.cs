using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;

namespace Krewe.Silo.Links;

/// <summary>What an operator reads when a port cannot be bound.</summary>
internal static class BindFailure
{
    public static KreweException Of(string what, string host, int port, Exception cause) => new(
        ErrorCode.PortInUse,
        $"The {what} {host}:{port} cannot be bound ({cause.Message}). Stop what listens there, or choose another "
        + "port; 0 takes a free one.",
        innerException: cause);

    /// <summary>
    /// Throws <see cref="KreweException"/> (PortInUse) when <paramref name="port"/> is taken now. Asked before anything
    /// runs: grains that have begun to start would tell of their end in hundreds of lines around the one that counts.
    /// </summary>
    public static void ThrowIfTaken(string what, string host, int port)
    {
        if (port == 0) return;
        var address = IPAddress.Parse(host);
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, port));
        }
        catch (SocketException e)
        {
            throw Of(what, host, port, e);
        }
    }
}
