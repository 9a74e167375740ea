using System.Net;

namespace Krewe.Abstractions;

/// <summary>What a worker process does: the phases it takes.</summary>
public enum WorkerRole
{
    /// <summary>Prefill only; hands its blocks off.</summary>
    Prefill,

    /// <summary>Decode only; pulls blocks from prefill workers.</summary>
    Decode,

    /// <summary>Both, on one worker, without a handoff.</summary>
    Mixed,
}

/// <summary>Which <c>IModelRunner</c> computes.</summary>
public enum WorkerDevice
{
    /// <summary>SIMD kernels on the CPU.</summary>
    Cpu,

    /// <summary>The scalar reference kernels: slow, for checking.</summary>
    Reference,
}

/// <summary>How KV blocks travel to other workers.</summary>
public enum KvTransport
{
    /// <summary>Shared memory where the two workers can map it (one host, one user), else TCP.</summary>
    Auto,

    /// <summary>TCP, also within one host.</summary>
    Tcp,

    /// <summary>Shared memory, or an error.</summary>
    Shared,
}

/// <summary>Settings of one worker process.</summary>
public sealed record WorkerOptions
{
    /// <summary>Stable name, unique in the cluster; a restarted worker keeps it.</summary>
    public required string WorkerId { get; init; }

    public required WorkerRole Role { get; init; }

    public required string ModelDirectory { get; init; }

    public string? ServedModelName { get; init; }

    /// <summary>host:port of at least one silo's link listener; the others are learnt from it.</summary>
    public required IReadOnlyList<string> Silos { get; init; }

    public WorkerDevice Device { get; init; } = WorkerDevice.Cpu;

    /// <summary>Compute threads.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Bytes of the KV arena; divided by the block's bytes it gives the pool's blocks.</summary>
    public long KvMemoryBytes { get; init; } = 256L << 20;

    /// <summary>KV number format; null takes the checkpoint's weight format.</summary>
    public KvFormat? KvFormat { get; init; }

    /// <summary>Token slots of one block.</summary>
    public int BlockTokens { get; init; } = 16;

    /// <summary>Most tokens that one step computes, prefill chunks and decodes together.</summary>
    public int StepBudgetTokens { get; init; } = 512;

    /// <summary>Most sequences in one step.</summary>
    public int MaxRunningSequences { get; init; } = 256;

    /// <summary>Keeps full blocks for reuse by later requests with the same prefix.</summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>Address other workers reach this one's data link at.</summary>
    public string DataHost { get; init; } = "127.0.0.1";

    /// <summary>Port of the data link; 0 takes a free one.</summary>
    public int DataPort { get; init; }

    /// <summary>How blocks travel from and to this worker.</summary>
    public KvTransport KvTransport { get; init; } = KvTransport.Auto;

    /// <summary>
    /// For fault tests: a file whose content names a phase (queued, computing, handoff, before-commit, decoding). The
    /// worker that first reaches the phase deletes the file and stays there, heartbeats going on, until it is killed.
    /// </summary>
    public string? TestHoldFile { get; init; }

    /// <summary>Every error of these settings at once.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(WorkerId))
            yield return "WorkerId is empty; give --id a name unique in the cluster.";
        if (!Directory.Exists(ModelDirectory))
            yield return $"Model folder '{ModelDirectory}' does not exist; give --model a folder with config.json.";
        if (Silos.Count == 0) yield return "No silo given; name at least one with --silo host:port.";
        foreach (var silo in Silos)
        {
            var colon = silo.LastIndexOf(':');
            if (colon < 1 || !ushort.TryParse(silo.AsSpan(colon + 1), out _))
                yield return $"Silo '{silo}' is not host:port.";
        }

        if (Threads is < 1 or > 1024) yield return $"Threads is {Threads}; it must be 1 to 1024.";
        if (KvMemoryBytes < 1 << 20) yield return $"KvMemoryBytes is {KvMemoryBytes}; it must be at least 1 MiB.";
        if (BlockTokens is < 16 or > 256 || BlockTokens % 16 != 0)
            yield return $"BlockTokens is {BlockTokens}; it must be a multiple of 16 from 16 to 256.";
        if (StepBudgetTokens < 1) yield return $"StepBudgetTokens is {StepBudgetTokens}; it must be at least 1.";
        if (MaxRunningSequences < 1)
            yield return $"MaxRunningSequences is {MaxRunningSequences}; it must be at least 1.";
        if (!IPAddress.TryParse(DataHost, out _) && string.IsNullOrWhiteSpace(DataHost))
            yield return "DataHost is empty; give an address that other workers can reach.";
        if (DataPort is < 0 or > 65535) yield return $"DataPort is {DataPort}; it must be 0 to 65535.";
    }
}
