using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// One worker as routing sees it: its size, its newest load report, and what was dispatched after that.
/// </summary>
public sealed record RouteCandidate
{
    public required WorkerIncarnation Worker { get; init; }

    public required WorkerRole Role { get; init; }

    /// <summary>Only <see cref="WorkerState.Ready"/> workers are given work.</summary>
    public required WorkerState State { get; init; }

    public required int TotalBlocks { get; init; }

    public required int BlockTokens { get; init; }

    public required int MaxContextTokens { get; init; }

    /// <summary>Blocks that no sequence and no lease holds.</summary>
    public required int AvailableBlocks { get; init; }

    public required int RunningSequences { get; init; }

    public required int WaitingSequences { get; init; }

    /// <summary>Prompt tokens that the worker has yet to compute.</summary>
    public required long WaitingTokens { get; init; }

    /// <summary>Sequences and prompt tokens dispatched after the load report was made.</summary>
    public required int DispatchedSequences { get; init; }

    public required long DispatchedTokens { get; init; }

    public bool TakesPrefill => Role is WorkerRole.Prefill or WorkerRole.Mixed;

    public bool TakesDecode => Role is WorkerRole.Decode or WorkerRole.Mixed;

    /// <summary>Prompt tokens in front of a new request.</summary>
    public long OutstandingTokens => WaitingTokens + DispatchedTokens;

    /// <summary>Sequences beside a new request.</summary>
    public int Sequences => RunningSequences + WaitingSequences + DispatchedSequences;

    /// <summary>Blocks that <paramref name="tokens"/> fill here; no context is longer than the model's.</summary>
    public int BlocksFor(int tokens)
    {
        var capped = Math.Min(tokens, MaxContextTokens);
        return (capped + BlockTokens - 1) / BlockTokens;
    }
}
