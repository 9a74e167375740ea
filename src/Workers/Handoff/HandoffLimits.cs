namespace Krewe.Workers;

/// <summary>Limits of the data link that no peer sets.</summary>
internal static class HandoffLimits
{
    /// <summary>
    /// Bytes that a target lets travel at once. It has reserved room for everything, so this bounds no memory: it only
    /// keeps a broken source from sending without end.
    /// </summary>
    public const long WindowBytes = 256 << 20;

    /// <summary>
    /// Bytes of one piece, unless a single layer of a block is larger: few enough to stay in the cache between checksum
    /// and copy, enough that the frame around them does not count.
    /// </summary>
    public const int PieceBytes = 256 << 10;

    /// <summary>
    /// The same for each connection of a link that has several: the two sides meet after each piece, so that it must be
    /// worth the meeting.
    /// </summary>
    public const int LanePieceBytes = 512 << 10;

    /// <summary>What a transfer must have for several connections: opening them costs about a millisecond.</summary>
    public const long LanesFromBytes = 16 << 20;

    /// <summary>The same where a piece is only named: few enough that copying starts early.</summary>
    public const int SharedPieceBytes = 2 << 20;

    /// <summary>Most bytes of a list that names a piece's slices.</summary>
    public const int SliceListBytesMax = 1 << 20;

    /// <summary>Largest payload that a peer may announce: one block of a very large model.</summary>
    public const int PayloadBytesMax = 256 << 20;

    /// <summary>Signs of life per lease: two may be late before the third expires it.</summary>
    public const int RenewalsPerLease = 3;

    /// <summary>How long a finished link may take to say its last word before it is cut.</summary>
    public static readonly TimeSpan ClosingGrace = TimeSpan.FromSeconds(1);

    /// <summary>Wait after a link could not be accepted.</summary>
    public static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a new connection may take to greet and to say hello.</summary>
    public static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(5);
}
