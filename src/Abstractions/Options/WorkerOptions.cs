using System.Diagnostics.CodeAnalysis;
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

    /// <summary>An NVIDIA GPU; see <see cref="CudaOptions"/>. A start without one is refused.</summary>
    Cuda,

    /// <summary>A GPU where one can be used, else the CPU.</summary>
    Auto,

    /// <summary>TorchSharp, in builds that have it (-p:WithTorchSharp=true).</summary>
    Torch,
}

/// <summary>How a worker keeps the weights of its products.</summary>
public enum ServedWeights
{
    /// <summary>In the checkpoint's own format.</summary>
    Stored,

    /// <summary>Rounded at load to whole numbers of -127 to 127 with one scale for each output; half of BF16's bytes.
    /// A numerics fingerprint of its own.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The format's usual name; --weights int8 is read from it.")]
    Int8,
}

/// <summary>Which of the blocks that only the prefix cache keeps goes first.</summary>
public enum EvictionPolicy
{
    /// <summary>The one released least recently.</summary>
    Lru,

    /// <summary>The one whose reuse is least likely times what computing it again would take.</summary>
    ReuseCost,
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
    /// <summary>More threads than that copy no faster.</summary>
    public const int DataConnectionsMax = 8;

    /// <summary>On two cores more are no faster (docs/BENCHMARKS.md).</summary>
    public const int DataConnectionsUsual = 1;

    /// <summary>Stable name, unique in the cluster; a restarted worker keeps it.</summary>
    public required string WorkerId { get; init; }

    public required WorkerRole Role { get; init; }

    public required string ModelDirectory { get; init; }

    public string? ServedModelName { get; init; }

    /// <summary>host:port of at least one silo's link listener; the others are learnt from it.</summary>
    public required IReadOnlyList<string> Silos { get; init; }

    public WorkerDevice Device { get; init; } = WorkerDevice.Cpu;

    /// <summary>How GPUs are found and used.</summary>
    public CudaOptions Cuda { get; init; } = new();

    /// <summary>Compute threads.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>The core that each compute thread is bound to; empty = the system decides.</summary>
    public IReadOnlyList<int> PinnedCores { get; init; } = [];

    public ServedWeights Weights { get; init; } = ServedWeights.Stored;

    /// <summary>Bytes of the KV arena; divided by the block's bytes it gives the pool's blocks.</summary>
    public long KvMemoryBytes { get; init; } = 256L << 20;

    /// <summary>KV number format; null takes the checkpoint's weight format.</summary>
    public KvFormat? KvFormat { get; init; }

    /// <summary>Token slots of one block.</summary>
    public int BlockTokens { get; init; } = 16;

    /// <summary>Most tokens that one step computes, prefill chunks and decodes together.</summary>
    public int StepBudgetTokens { get; init; } = 512;

    /// <summary>
    /// Longest gap between two tokens of a stream that a step should leave beside its decodes; null: none, and only
    /// <see cref="StepBudgetTokens"/> limits a step.
    /// </summary>
    public TimeSpan? InterTokenSlo { get; init; }

    /// <summary>Most sequences in one step.</summary>
    public int MaxRunningSequences { get; init; } = 256;

    /// <summary>Keeps full blocks for reuse by later requests with the same prefix.</summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>What the prefix cache gives up first.</summary>
    public EvictionPolicy Eviction { get; init; } = EvictionPolicy.ReuseCost;

    /// <summary>KV tiers below the pool.</summary>
    public KvTierOptions KvTiers { get; init; } = new();

    /// <summary>Address other workers reach this one's data link at.</summary>
    public string DataHost { get; init; } = "127.0.0.1";

    /// <summary>Port of the data link; 0 takes a free one.</summary>
    public int DataPort { get; init; }

    /// <summary>How blocks travel from and to this worker.</summary>
    public KvTransport KvTransport { get; init; } = KvTransport.Auto;

    /// <summary>
    /// Folder of the host where workers of the host meet to open each other's KV memory; null: where they see each
    /// other's processes they need none, and GPU memory meets in the temporary folder.
    /// </summary>
    public string? KvShareFolder { get; init; }

    /// <summary>
    /// Most bytes a second that one data link may send, paced by the kernel (Linux); null = as many as the network
    /// takes. Shared memory knows no such limit.
    /// </summary>
    public long? DataLinkBytesPerSecond { get; init; }

    /// <summary>
    /// Most connections of one TCP data link, 1 to <see cref="DataConnectionsMax"/>. Large transfers use as many as
    /// both ends allow, each with a thread of its own on either side.
    /// </summary>
    public int DataConnections { get; init; } = DataConnectionsUsual;

    /// <summary>Where GET /metrics and the health checks are answered; null = nowhere.</summary>
    public IPEndPoint? Metrics { get; init; }

    /// <summary>Mutual TLS with silos and other workers; null = plain TCP.</summary>
    public LinkTlsOptions? LinkTls { get; init; }

    /// <summary>
    /// After SIGTERM: how long running sequences may take to finish or to move to another worker. Shorter than what the
    /// host gives the process before it kills it.
    /// </summary>
    public TimeSpan DrainGrace { get; init; } = TimeSpan.FromSeconds(25);

    /// <summary>
    /// For comparison: a sequence that migrates stops first, and everything is copied then.
    /// </summary>
    public bool BlockingMigration { get; init; }

    /// <summary>
    /// For fault tests: a file whose content names a phase (queued, computing, handoff, before-commit, decoding,
    /// migration-copying, migration-frozen, migration-sending). The worker that first reaches the phase deletes the
    /// file
    /// and stays there, heartbeats going on, until it is killed.
    /// </summary>
    public string? TestHoldFile { get; init; }

    /// <summary>
    /// For fault tests: outgoing data links go to this address instead, with the real one, host:port, as their first
    /// line. Null = directly.
    /// </summary>
    public IPEndPoint? TestDataProxy { get; init; }

    /// <summary>
    /// For measurements of who waits for whom: nothing is computed, each row of a step takes so long. Null = computes.
    /// </summary>
    public TimeSpan? TestRowTime { get; init; }

    /// <summary>Every error of these settings at once.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(WorkerId))
            yield return "WorkerId is empty; give --id a name unique in the cluster.";
        if (!Directory.Exists(ModelDirectory))
            yield return $"Model folder '{ModelDirectory}' does not exist; give --model a folder with config.json.";
        foreach (var error in LinkTls?.Validate() ?? []) yield return error;
        if (Silos.Count == 0) yield return "No silo given; name at least one with --silo host:port.";
        foreach (var silo in Silos)
        {
            var colon = silo.LastIndexOf(':');
            if (colon < 1 || !ushort.TryParse(silo.AsSpan(colon + 1), out _))
                yield return $"Silo '{silo}' is not host:port.";
        }

        if (Threads is < 1 or > 1024) yield return $"Threads is {Threads}; it must be 1 to 1024.";
        if (PinnedCores.Count > 0 && PinnedCores.Count != Threads)
            yield return $"--pin gives {PinnedCores.Count} cores for {Threads} threads; name one core a thread.";
        if (PinnedCores.Distinct().Count() != PinnedCores.Count) yield return "--pin names a core twice.";
        if (KvMemoryBytes < 1 << 20) yield return $"KvMemoryBytes is {KvMemoryBytes}; it must be at least 1 MiB.";
        if (BlockTokens is < 16 or > 256 || BlockTokens % 16 != 0)
            yield return $"BlockTokens is {BlockTokens}; it must be a multiple of 16 from 16 to 256.";
        if (StepBudgetTokens < 1) yield return $"StepBudgetTokens is {StepBudgetTokens}; it must be at least 1.";
        if (InterTokenSlo <= TimeSpan.Zero)
            yield return $"InterTokenSlo is {InterTokenSlo.Value.TotalMilliseconds} ms; it must be positive, or null.";
        if (MaxRunningSequences < 1)
            yield return $"MaxRunningSequences is {MaxRunningSequences}; it must be at least 1.";
        foreach (var error in KvTiers.Validate()) yield return error;
        if (!KvTiers.IsOff && !PrefixCache)
            yield return "--kv-host-bytes and --kv-disk keep blocks by their prefix; drop --no-prefix-cache.";
        if (!IPAddress.TryParse(DataHost, out _) && string.IsNullOrWhiteSpace(DataHost))
            yield return "DataHost is empty; give an address that other workers can reach.";
        if (DrainGrace < TimeSpan.Zero)
            yield return $"DrainGrace is {DrainGrace.TotalSeconds} s; it must not be negative.";
        if (KvShareFolder is not null && !Directory.Exists(KvShareFolder))
            yield return $"--kv-share-folder '{KvShareFolder}' does not exist; mount or make it.";
        if (KvShareFolder is not null && KvTransport == KvTransport.Tcp)
            yield return "--kv-share-folder is for shared memory; drop it, or --kv-transport tcp.";
        if (DataLinkBytesPerSecond is not null && KvTransport != KvTransport.Tcp)
            yield return "--data-link-mbit limits TCP links only; give --kv-transport tcp with it.";
        if (DataConnections is < 1 or > DataConnectionsMax)
            yield return $"DataConnections is {DataConnections}; it must be 1 to {DataConnectionsMax}.";
        if (DataLinkBytesPerSecond is not null && !OperatingSystem.IsLinux())
            yield return "--data-link-mbit takes Linux, whose kernel paces the links.";
        if (DataPort is < 0 or > 65535) yield return $"DataPort is {DataPort}; it must be 0 to 65535.";
    }
}
