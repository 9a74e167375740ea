using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;

namespace Krewe.Silo.Links;

/// <summary>What an operator reads when a port cannot be bound.</summary>
internal static class BindFailure
{
    public static KreweException Of(string what, string host, int port, Exception cause) => new(
        ErrorCode.PortInUse,
        $"The {what} {host}:{port} cannot be bound ({cause.Message}). " + Advice(cause, host),
        innerException: cause);

    private static string Advice(Exception cause, string host) => cause switch
    {
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } =>
            $"This machine has no address {host}: give one of its own, or 0.0.0.0 for all of them.",
        SocketException { SocketErrorCode: SocketError.AccessDenied } => "This user may not: choose a port above 1023.",
        _ => "Stop what listens there, or choose another port; 0 takes a free one.",
    };

    /// <summary>
    /// Throws <see cref="KreweException"/> (PortInUse) when <paramref name="port"/> is taken now, or the address is not
    /// of this machine. Asked before anything
    /// runs: grains that have begun to start would tell of their end in hundreds of lines around the one that counts.
    /// </summary>
    public static void ThrowIfTaken(string what, string host, int port)
    {
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
