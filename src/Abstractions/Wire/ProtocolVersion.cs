namespace Krewe.Abstractions.Wire;

/// <summary>
/// Version of control.proto and data.proto. Raised only for changes that an older peer would misread.
/// </summary>
public static class ProtocolVersion
{
    public const uint Current = 1;
}
