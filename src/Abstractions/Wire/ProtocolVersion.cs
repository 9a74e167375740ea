namespace Krewe.Abstractions.Wire;

/// <summary>
/// Versions of control.proto and data.proto. Two peers of a control link speak the newest version that both know:
/// during a rolling upgrade one of them is a version behind.
/// </summary>
/// <remarks>
/// A peer of version 1 takes nobody else: so a hello and every data link say <see cref="Oldest"/>, and the newest is
/// said in a field that version 1 does not know. The day that version 1 is dropped, Oldest is raised to 2.
/// <list type="bullet">
/// <item>1: no negotiation; the set of silos is told once, in the hello's reply.</item>
/// <item>2: silos tell their workers which silos there are, whenever that changes.</item>
/// </list>
/// </remarks>
public static class ProtocolVersion
{
    /// <summary>What this program can still speak.</summary>
    public const uint Oldest = 1;

    /// <summary>What it prefers.</summary>
    public const uint Newest = 2;

    /// <summary>
    /// The version that a peer and this program speak with each other; null when they have none in common.
    /// </summary>
    /// <param name="oldest">The oldest that the peer speaks.</param>
    /// <param name="newest">The newest; 0 from a peer of version 1, which does not say it.</param>
    public static uint? Negotiate(uint oldest, uint newest)
    {
        var common = Math.Min(Math.Max(oldest, newest), Newest);
        return common >= Math.Max(oldest, Oldest) ? common : null;
    }
}
