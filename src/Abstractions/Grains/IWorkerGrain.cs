using System.Collections.Immutable;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>What a worker said of itself in its hello.</summary>
[GenerateSerializer, Immutable]
public sealed record WorkerDescriptor
{
    [Id(0)] public required WorkerIncarnation Worker { get; init; }

    [Id(1)] public required WorkerRole Role { get; init; }

    [Id(2)] public required string ModelName { get; init; }

    [Id(3)] public required string ModelFingerprint { get; init; }

    [Id(4)] public required string Numerics { get; init; }

    [Id(5)] public required string DataHost { get; init; }

    [Id(6)] public required int DataPort { get; init; }

    [Id(7)] public required int TotalBlocks { get; init; }

    [Id(8)] public required int BlockTokens { get; init; }

    [Id(9)] public required int MaxContextTokens { get; init; }

    [Id(10)] public required int ProcessId { get; init; }

    /// <summary>Bytes of KV that a token takes, all layers; 0 = not known.</summary>
    [Id(11)] public int KvBytesPerToken { get; init; }
}

/// <summary>What a worker may be given.</summary>
public enum WorkerState
{
    /// <summary>Linked; takes work.</summary>
    Ready,

    /// <summary>Takes no new work; finishes what it has.</summary>
    Draining,

    /// <summary>No link. Its leases are void.</summary>
    Lost,
}

/// <summary>The right of one attempt to hold blocks on one worker until the lease expires unrenewed.</summary>
[GenerateSerializer, Immutable]
public sealed record LeaseGrant(
    [property: Id(0)] SequenceKey Key, [property: Id(1)] int Blocks, [property: Id(2)] DateTimeOffset ExpiresAt,
    [property: Id(3)] string Silo = "");

/// <summary>Asks for a lease, or for a longer life of one.</summary>
[GenerateSerializer, Immutable]
public sealed record LeaseRequest
{
    [Id(0)] public required SequenceKey Key { get; init; }

    /// <summary>
    /// The worker as the asking silo's own link knows it: it vouches that this process is there. A grain that has just
    /// come to memory, because the silo that had it died, knows of its worker by that alone.
    /// </summary>
    [Id(1)] public required WorkerDescriptor Worker { get; init; }

    /// <summary>The silo that asks, over whose link the attempt runs.</summary>
    [Id(2)] public required string Silo { get; init; }

    [Id(3)] public required int Blocks { get; init; }

    [Id(4)] public required TimeSpan Life { get; init; }
}

/// <summary>A worker as its grain knows it.</summary>
[GenerateSerializer, Immutable]
public sealed record WorkerRecord
{
    [Id(0)] public required string WorkerId { get; init; }

    [Id(1)] public required WorkerState State { get; init; }

    /// <summary>Null before the first hello.</summary>
    [Id(2)] public WorkerDescriptor? Descriptor { get; init; }

    [Id(3)] public required ImmutableArray<LeaseGrant> Leases { get; init; }
}

/// <summary>One worker in one phase: its state and the leases that requests hold on it. Key = worker id.</summary>
public interface IWorkerGrain : IGrainWithStringKey
{
    /// <summary>
    /// <paramref name="silo"/> accepted the worker's hello. A new incarnation voids every lease of the old one.
    /// </summary>
    Task AttachAsync(WorkerDescriptor worker, string silo);

    /// <summary>
    /// The link of <paramref name="silo"/> is gone, and with it the leases that it holds; those of other silos stay. A
    /// report about an older incarnation is dropped.
    /// </summary>
    Task DetachAsync(WorkerIncarnation worker, string silo, string reason);

    /// <summary>Takes no new leases from now on.</summary>
    Task DrainAsync();

    /// <summary>
    /// Grants or renews a lease; null when the worker is not ready or has another incarnation.
    /// </summary>
    Task<LeaseGrant?> LeaseAsync(LeaseRequest asked);

    /// <summary>Gives the lease back. Idempotent.</summary>
    Task ReleaseAsync(SequenceKey key);

    Task<WorkerRecord> GetAsync();
}

/// <summary>A worker in its prefill phase.</summary>
public interface IPrefillWorkerGrain : IWorkerGrain;

/// <summary>A worker in its decode phase.</summary>
public interface IDecodeWorkerGrain : IWorkerGrain;
