using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.KvObjects;

/// <summary>
/// Copies, pins and last use of one group of KV blocks. Invariants: one copy a worker and tier; of one worker id only
/// the newest incarnation's copies; a pin only while there is a copy. Immutable.
/// </summary>
public sealed record KvObject
{
    public static KvObject Empty { get; } = new();

    public ImmutableArray<KvReplica> Replicas { get; private init; } = [];

    public ImmutableArray<KvPin> Pins { get; private init; } = [];

    public DateTimeOffset LastUse { get; private init; }

    /// <summary>Nothing to remember.</summary>
    public bool IsEmpty => Replicas.IsEmpty;

    /// <summary>When the next pin expires; null without one.</summary>
    public DateTimeOffset? NextExpiry => Pins.IsEmpty ? null : Pins.Min(pin => pin.ExpiresAt);

    /// <summary>The workers that hold the pinned copies, those in host memory or on disk.</summary>
    public IEnumerable<WorkerIncarnation> Keepers => Replicas
        .Where(replica => replica.Tier is KvTier.Host or KvTier.Disk)
        .Select(replica => replica.Worker)
        .Distinct();

    public KvObject Stored(KvReplica replica, DateTimeOffset now) => this with
    {
        // Older incarnations of this worker: its disk has been read anew by then, its memory is gone.
        Replicas = [.. Replicas.Where(known => known != replica && !IsOlder(known.Worker, replica.Worker)), replica],
        LastUse = now,
    };

    public KvObject Removed(KvReplica replica) => WithoutPinsIfEmpty(Replicas.Remove(replica));

    public KvObject WorkerLost(WorkerIncarnation worker) => WithoutPinsIfEmpty(
        [.. Replicas.Where(replica => replica.Worker != worker || replica.Tier == KvTier.Disk)]);

    /// <summary>Null when there is no copy that could be held.</summary>
    public KvObject? Pinned(string owner, DateTimeOffset expires, DateTimeOffset now)
    {
        if (!Keepers.Any()) return null;
        return this with
        {
            Pins = [.. Pins.Where(pin => pin.Owner != owner), new KvPin(owner, expires)],
            LastUse = now,
        };
    }

    public KvObject Unpinned(string owner) => this with { Pins = [.. Pins.Where(pin => pin.Owner != owner)] };

    public KvObject Expired(DateTimeOffset now) => this with { Pins = [.. Pins.Where(pin => pin.ExpiresAt > now)] };

    private static bool IsOlder(WorkerIncarnation known, WorkerIncarnation newest) =>
        known.WorkerId == newest.WorkerId && known != newest;

    private KvObject WithoutPinsIfEmpty(ImmutableArray<KvReplica> replicas) =>
        this with { Replicas = replicas, Pins = replicas.IsEmpty ? [] : Pins };
}
