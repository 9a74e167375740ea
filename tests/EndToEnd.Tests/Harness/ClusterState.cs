using System.Text.Json;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>What <c>GET /v1/cluster</c> tells, as far as the tests look.</summary>
public sealed record ClusterState
{
    private static readonly JsonSerializerOptions Names = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public required Dictionary<string, int> Activations { get; init; }

    public required int OpenStreams { get; init; }

    public required TokenCounts Tokens { get; init; }

    public required List<WorkerState> Workers { get; init; }

    public static ClusterState Parse(string json) => JsonSerializer.Deserialize<ClusterState>(json, Names)!;

    public WorkerState Worker(string id) => Workers.Single(worker => worker.Id == id);

    /// <summary>What still is in use; empty when all came back.</summary>
    public IEnumerable<string> StillHeld()
    {
        if (OpenStreams != 0) yield return $"{OpenStreams} open streams";
        foreach (var worker in Workers)
        {
            if (worker.Attempts != 0) yield return $"{worker.Id}: {worker.Attempts} attempts";
            if (worker.Load is not { } load)
            {
                yield return $"{worker.Id}: no load report yet";
                continue;
            }

            if (load.PinnedBlocks != 0) yield return $"{worker.Id}: {load.PinnedBlocks} pinned blocks";
            if (load.Leases != 0) yield return $"{worker.Id}: {load.Leases} leases";
            if (load.RunningSequences != 0) yield return $"{worker.Id}: {load.RunningSequences} running";
            if (load.WaitingSequences != 0) yield return $"{worker.Id}: {load.WaitingSequences} waiting";
            if (load.FreeBlocks + load.EvictableBlocks != load.TotalBlocks)
            {
                yield return $"{worker.Id}: {load.FreeBlocks} free + {load.EvictableBlocks} evictable of "
                    + $"{load.TotalBlocks} blocks";
            }
        }
    }
}

public sealed record TokenCounts(long Accepted, long Duplicate, long Stale, long Contradicting);

public sealed record WorkerState
{
    public required string Id { get; init; }

    public required string Role { get; init; }

    public required int Pid { get; init; }

    public required uint LinkEpoch { get; init; }

    public required int Attempts { get; init; }

    public LoadState? Load { get; init; }
}

public sealed record LoadState
{
    public required uint TotalBlocks { get; init; }

    public required uint FreeBlocks { get; init; }

    public required uint EvictableBlocks { get; init; }

    public required uint PinnedBlocks { get; init; }

    public required uint Leases { get; init; }

    public required uint RunningSequences { get; init; }

    public required uint WaitingSequences { get; init; }
}
