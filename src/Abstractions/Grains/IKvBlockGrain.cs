using System.Collections.Immutable;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>One copy of a group of KV blocks: whose, and in which tier.</summary>
[GenerateSerializer, Immutable]
public sealed record KvReplica([property: Id(0)] WorkerIncarnation Worker, [property: Id(1)] KvTier Tier);

/// <summary>Somebody's wish that the copies below the device stay until the lease expires unrenewed.</summary>
[GenerateSerializer, Immutable]
public sealed record KvPin([property: Id(0)] string Owner, [property: Id(1)] DateTimeOffset ExpiresAt);

/// <summary>A group of KV blocks as its grain knows it.</summary>
[GenerateSerializer, Immutable]
public sealed record KvBlockRecord
{
    /// <summary>Content hash of the group's first block: 32 hexadecimal digits.</summary>
    [Id(0)] public required string Hash { get; init; }

    [Id(1)] public required ImmutableArray<KvReplica> Replicas { get; init; }

    [Id(2)] public required ImmutableArray<KvPin> Pins { get; init; }

    /// <summary>UTC; when a copy was last made, or a pin asked for.</summary>
    [Id(3)] public required DateTimeOffset LastUse { get; init; }
}

/// <summary>
/// One group of spilled or shared KV blocks: its copies by worker and tier, its pins, its last use. Key = content hash
/// of the group's first block. Fed by workers' KV events, never on a request's way: it may lag, and a worker that is
/// asked for a copy looks again.
/// </summary>
public interface IKvBlockGrain : IGrainWithStringKey
{
    /// <summary>The worker has a copy in the tier. Idempotent; a new incarnation voids the copies of the old one.
    /// </summary>
    Task StoredAsync(KvReplica replica);

    /// <summary>The worker has no copy in the tier any more. Idempotent.</summary>
    Task RemovedAsync(KvReplica replica);

    /// <summary>The worker is gone: so are its copies in memory. Those on disk stay, for its successor.</summary>
    Task WorkerLostAsync(WorkerIncarnation worker);

    /// <summary>Holds the copies below the device for <paramref name="life"/>; again: renews. Null: there is none.
    /// </summary>
    Task<KvPin?> PinAsync(string owner, TimeSpan life);

    /// <summary>Gives a pin back. Idempotent.</summary>
    Task UnpinAsync(string owner);

    /// <summary>Null when no copy is known.</summary>
    Task<KvBlockRecord?> GetAsync();
}
