namespace Krewe.Abstractions;

/// <summary>Where a KV block lives. Each tier below the device is slower to read and larger.</summary>
public enum KvTier
{
    /// <summary>The worker's own pool: GPU memory, or the CPU engine's arena. Attention reads here only.</summary>
    Device,

    /// <summary>Host memory of the worker's machine.</summary>
    Host,

    /// <summary>KV objects on the machine's SSDs.</summary>
    Disk,

    /// <summary>Another worker's memory, reached over the data link.</summary>
    Remote,
}
