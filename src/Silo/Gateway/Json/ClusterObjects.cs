namespace Krewe.Silo.Gateway.Json;

/// <summary>What this silo sees of the cluster, for GET /v1/cluster.</summary>
internal sealed record ClusterObject
{
    public required string SiloId { get; init; }

    /// <summary>Embedded or Orleans.</summary>
    public required string GrainHost { get; init; }

    /// <summary>The silos of the cluster, this one among them; empty for a silo that is alone.</summary>
    public required IReadOnlyList<SiloObject> Silos { get; init; }

    /// <summary>Live activations by grain type.</summary>
    public required IReadOnlyDictionary<string, int> Activations { get; init; }

    public required string Model { get; init; }

    /// <summary>Requests whose clients wait on this silo.</summary>
    public required int OpenStreams { get; init; }

    public required bool Draining { get; init; }

    public required TokenCounts Tokens { get; init; }

    public required IReadOnlyList<WorkerObject> Workers { get; init; }
}

/// <summary>One silo.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Link">Where its workers connect.</param>
/// <param name="Gateway">Its API, for other silos.</param>
internal sealed record SiloObject(string Id, string? Link, Uri? Gateway);

/// <summary>What became of the tokens that reached this silo since it started.</summary>
/// <param name="Contradicting">Repeated tokens that differed from the first: anything but 0 is a bug.</param>
internal sealed record TokenCounts(
    long Accepted, long Duplicate, long Stale, long Early, long Late, long Contradicting);

internal sealed record WorkerObject
{
    public required string Id { get; init; }

    public required string Incarnation { get; init; }

    /// <summary>prefill, decode or mixed.</summary>
    public required string Role { get; init; }

    /// <summary>ready or draining.</summary>
    public required string State { get; init; }

    public required int Pid { get; init; }

    public required uint LinkEpoch { get; init; }

    public required string Numerics { get; init; }

    /// <summary>Parts of requests that this silo sent there and that are not released yet.</summary>
    public required int Attempts { get; init; }

    /// <summary>Null before the first report.</summary>
    public LoadObject? Load { get; init; }
}

internal sealed record LoadObject
{
    public required ulong Sequence { get; init; }

    public required uint TotalBlocks { get; init; }

    public required uint FreeBlocks { get; init; }

    public required uint EvictableBlocks { get; init; }

    public required uint PinnedBlocks { get; init; }

    public required uint Leases { get; init; }

    public required uint RunningSequences { get; init; }

    public required uint WaitingSequences { get; init; }

    public required ulong WaitingTokens { get; init; }

    public required ulong Steps { get; init; }

    public required ulong PrefillTokens { get; init; }

    public required ulong DecodeTokens { get; init; }

    public required float StepMs { get; init; }

    /// <summary>Sequences on their way in or out now.</summary>
    public required uint Migrations { get; init; }

    /// <summary>Sequences that came by migration since the worker's start.</summary>
    public required ulong MigratedIn { get; init; }

    public required ulong MigratedOut { get; init; }

    /// <summary>Null where the worker has no tiers below its pool.</summary>
    public TierObject? Tiers { get; init; }
}

/// <summary>KV tiers below the pool; counts since the worker started.</summary>
internal sealed record TierObject
{
    public required uint HostBlocks { get; init; }

    public required uint HostCapacity { get; init; }

    public required uint DiskBlocks { get; init; }

    public required uint DiskCapacity { get; init; }

    public required ulong SpilledBlocks { get; init; }

    public required ulong RestoredBlocks { get; init; }

    public required ulong BadBlocks { get; init; }

    public required ulong LostBlocks { get; init; }

    public required ulong RecomputeChosen { get; init; }

    public required ulong SwitchesOut { get; init; }

    public required ulong SwitchOutCopies { get; init; }

    public required ulong SwitchesIn { get; init; }

    public required ulong SwitchInCopies { get; init; }

    public static TierObject? From(Krewe.Abstractions.Wire.TierReport? tiers) => tiers is null
        ? null
        : new TierObject
        {
            HostBlocks = tiers.HostBlocks,
            HostCapacity = tiers.HostCapacity,
            DiskBlocks = tiers.DiskBlocks,
            DiskCapacity = tiers.DiskCapacity,
            SpilledBlocks = tiers.SpilledBlocks,
            RestoredBlocks = tiers.RestoredBlocks,
            BadBlocks = tiers.BadBlocks,
            LostBlocks = tiers.LostBlocks,
            RecomputeChosen = tiers.RecomputeChosen,
            SwitchesOut = tiers.SwitchesOut,
            SwitchOutCopies = tiers.SwitchOutCopies,
            SwitchesIn = tiers.SwitchesIn,
            SwitchInCopies = tiers.SwitchInCopies,
        };
}
