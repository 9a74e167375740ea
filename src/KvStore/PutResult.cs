namespace Krewe.KvStore;

/// <summary>How a put ended.</summary>
public enum PutOutcome
{
    /// <summary>The object can be read from now on.</summary>
    Stored,

    /// <summary>The key was there already; nothing was written (a clean copy is never written twice).</summary>
    AlreadyPresent,

    /// <summary>Another put of the key is under way; nothing was written.</summary>
    BeingWritten,

    /// <summary>Every slot is pinned or being written. Try again later or drop the block.</summary>
    NoRoom,

    /// <summary>The device refused the bytes; the key is not stored.</summary>
    Failed,
}

/// <summary>End of a put.</summary>
/// <param name="Error">Why, for the log; set exactly on <see cref="PutOutcome.Failed"/>.</param>
public readonly record struct PutResult(PutOutcome Outcome, KvStoreException? Error = null)
{
    /// <summary>True when the object can be read now.</summary>
    public bool IsPresent => Outcome is PutOutcome.Stored or PutOutcome.AlreadyPresent;
}
