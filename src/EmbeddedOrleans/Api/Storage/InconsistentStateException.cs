using Orleans.Runtime;

namespace Orleans.Storage;

/// <summary>The stored record changed since it was read: read again before writing.</summary>
public class InconsistentStateException : OrleansException
{
    public InconsistentStateException()
    {
    }

    public InconsistentStateException(string message)
        : base(message)
    {
    }

    public InconsistentStateException(string message, Exception? innerException)
        : base(message, innerException!)
    {
    }

    public InconsistentStateException(string errorMsg, string? storedEtag, string? currentEtag)
        : base(errorMsg)
    {
        StoredEtag = storedEtag;
        CurrentEtag = currentEtag;
    }

    /// <summary>What the storage holds.</summary>
    public string? StoredEtag { get; }

    /// <summary>What the writer believed.</summary>
    public string? CurrentEtag { get; }
}
