namespace Krewe.KvStore;

/// <summary>How a read ended. Only <see cref="Hit"/> leaves usable bytes in the destination.</summary>
public enum ReadOutcome
{
    /// <summary>The bytes were verified and are in the destination.</summary>
    Hit,

    /// <summary>No such object. The destination is untouched.</summary>
    Miss,

    /// <summary>
    /// Bytes were flipped, torn or another object's. The object is gone; the destination holds rubbish.
    /// </summary>
    Corrupt,

    /// <summary>The device failed. The object is gone; the destination holds rubbish.</summary>
    Failed,
}

/// <summary>
/// End of a read: a bad object is an outcome, not an exception, since the caller recomputes in any case.
/// </summary>
/// <param name="Error">Why, for the log; null on a hit and on a miss.</param>
public readonly record struct ReadResult(ReadOutcome Outcome, KvStoreException? Error = null)
{
    public bool IsHit => Outcome == ReadOutcome.Hit;
}
