namespace Krewe.Workers;

/// <summary>Limits of the data link that no peer sets.</summary>
internal static class HandoffLimits
{
    /// <summary>
    /// Blocks that a target lets travel at once: enough to cover a round trip, few enough to stay fair.
    /// </summary>
    public const int WindowBlocks = 8;

    /// <summary>Signs of life per lease: two may be late before the third expires it.</summary>
    public const int RenewalsPerLease = 3;

    /// <summary>How long a finished link may take to say its last word before it is cut.</summary>
    public static readonly TimeSpan ClosingGrace = TimeSpan.FromSeconds(1);

    /// <summary>Wait after a link could not be accepted.</summary>
    public static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a new connection may take to say hello.</summary>
    public static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(5);
}
