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
}
