using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>
/// One worker as routing sees it: its shape, its costs, its newest load, and what was dispatched after that. The owner
/// of the <see cref="RouteTable"/> keeps the loads true; a policy only reads. Mutable and reused, because a snapshot
/// of a thousand immutable ones for every request would cost more than the decision.
/// </summary>
public sealed class RouteWorker
{
    /// <summary>Place in per-worker arrays (prefix hits, a policy's own state); reused after the worker left.</summary>
    public required int Slot { get; init; }

    public required WorkerIncarnation Worker { get; init; }

    public required WorkerRole Role { get; set; }

    /// <summary>Only <see cref="WorkerState.Ready"/> workers are given work.</summary>
    public WorkerState State { get; set; }

    // Shape.
    public required int TotalBlocks { get; set; }

    public required int BlockTokens { get; set; }

    public required int MaxContextTokens { get; set; }

    /// <summary>Most tokens of one step.</summary>
    public int StepBudgetTokens { get; set; } = 8192;

    /// <summary>Most sequences of one step.</summary>
    public int MaxSequences { get; set; } = 256;

    // Costs.
    public StepCosts Steps { get; set; } = StepCosts.ColdStart;

    public double KvBytesPerToken { get; set; }

    /// <summary>KV that one transfer moves in and out here, bytes a ms; infinite = not a concern.</summary>
    public double LinkBytesPerMs { get; set; } = double.PositiveInfinity;

    public double LinkLatencyMs { get; set; }

    /// <summary>KV that is restored from host memory, and from SSD, bytes a ms; 0 = no such tier.</summary>
    public double HostBytesPerMs { get; set; }

    public double DiskBytesPerMs { get; set; }

    /// <summary>Whoever carries choices out can have this worker pull a prefix from another one.</summary>
    public bool PullsPrefixes { get; set; }

    // Load, by the newest report.

    /// <summary>When the report was made, on the clock of <see cref="RouteRequest.NowUs"/>; 0 = does not age.</summary>
    public long ReportedUs { get; set; }

    /// <summary>Blocks that no sequence and no lease holds (free or evictable).</summary>
    public int AvailableBlocks { get; set; }

    public int RunningSequences { get; set; }

    public int WaitingSequences { get; set; }

    /// <summary>Prompt tokens that the worker has yet to compute; those its cache gives it are not counted.</summary>
    public long WaitingTokens { get; set; }

    /// <summary>
    /// Predicted time until everything that waits here is computed, ms; 0 = unknown, then it is made from
    /// <see cref="WaitingTokens"/>. The owner knows each prompt's length, which the sum of tokens has lost.
    /// </summary>
    public double WaitingPrefillMs { get; set; }

    /// <summary>Context tokens of the sequences that decode here.</summary>
    public long ContextTokens { get; set; }

    // Dispatched after the load report was made; counted at once.
    public int DispatchedSequences { get; set; }

    /// <summary>Of these, sequences that come here to decode.</summary>
    public int DispatchedDecodes { get; set; }

    public long DispatchedTokens { get; set; }

    public double DispatchedPrefillMs { get; set; }

    public long DispatchedContextTokens { get; set; }

    public bool TakesPrefill => Role is WorkerRole.Prefill or WorkerRole.Mixed;

    public bool TakesDecode => Role is WorkerRole.Decode or WorkerRole.Mixed;

    /// <summary>Computes a request's prefill and decode in one place, without a handoff.</summary>
    public bool TakesWhole => Role is WorkerRole.Mixed || (Role is WorkerRole.Decode && PrefillsLocally);

    /// <summary>
    /// A decode worker that also takes whole requests: short prompts that a handoff would not pay for.
    /// </summary>
    public bool PrefillsLocally { get; set; }

    /// <summary>Prompt tokens in front of a new request.</summary>
    public long OutstandingTokens => WaitingTokens + DispatchedTokens;

    /// <summary>Sequences beside a new request.</summary>
    public int Sequences => RunningSequences + WaitingSequences + DispatchedSequences;

    /// <summary>Sequences that decode, or will with what was dispatched.</summary>
    public int DecodingSequences => RunningSequences + DispatchedDecodes;

    /// <summary>Context tokens that decode steps will attend to.</summary>
    public long DecodingContextTokens => ContextTokens + DispatchedContextTokens;

    /// <summary>
    /// Predicted time until a prompt that comes now is begun: what the report left, less what was computed since, and
    /// what was dispatched.
    /// </summary>
    public double QueueMs(long nowUs)
    {
        var sinceMs = ReportedUs > 0 ? (nowUs - ReportedUs) / 1000.0 : 0;
        return Math.Max(DispatchedPrefillMs, ReportedQueueMs - sinceMs);
    }

    /// <summary>The same as if nothing had been computed since the report.</summary>
    public double ReportedQueueMs => DispatchedPrefillMs
        + (WaitingPrefillMs > 0 ? WaitingPrefillMs : Steps.PrefillMs(WaitingTokens, 0, StepBudgetTokens));

    /// <summary>Blocks in use and promised, of all.</summary>
    public double KvUsage => 1 - ((double)FreeBlocks / TotalBlocks);

    /// <summary>Blocks that are available and not promised to what was dispatched.</summary>
    public int FreeBlocks =>
        (int)Math.Max(0, AvailableBlocks - ((DispatchedTokens + DispatchedContextTokens) / BlockTokens));

    /// <summary>Blocks that <paramref name="tokens"/> fill here; no context is longer than the model's.</summary>
    public int BlocksFor(long tokens)
    {
        var capped = Math.Min(tokens, MaxContextTokens);
        return (int)((capped + BlockTokens - 1) / BlockTokens);
    }

    /// <summary>Counts a choice at once, before any report shows it.</summary>
    public void CountPrefill(long tokens, double predictedMs)
    {
        DispatchedSequences++;
        DispatchedTokens += tokens;
        DispatchedPrefillMs += predictedMs;
    }

    /// <inheritdoc cref="CountPrefill"/>
    public void CountDecode(long contextTokens)
    {
        DispatchedSequences++;
        DispatchedDecodes++;
        DispatchedContextTokens += contextTokens;
    }

    /// <summary>A newer report counts everything that was dispatched.</summary>
    public void ClearDispatched()
    {
        DispatchedSequences = DispatchedDecodes = 0;
        DispatchedTokens = DispatchedContextTokens = 0;
        DispatchedPrefillMs = 0;
    }
}
