using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>All that is known of one request. A value: only <see cref="RequestMachine"/> makes the next one.</summary>
public sealed record RequestState
{
    /// <summary>A request that nobody has heard of.</summary>
    public static RequestState New { get; } = new();

    public RequestPhase Phase { get; init; }

    /// <summary>The fencing number: raised with every planning, never used twice. 0 before the first.</summary>
    public int Epoch { get; init; }

    /// <summary>Highest epoch that was ever given out, a migration's included; 0 = <see cref="Epoch"/>.</summary>
    public int EpochsUsed { get; init; }

    /// <summary>A successor of the current epoch is on its way; null while none is.</summary>
    public MigrationHold? Migration { get; init; }

    /// <summary>Migrations that committed.</summary>
    public int Migrations { get; init; }

    /// <summary>When the newest one did, UTC.</summary>
    public DateTimeOffset? MigratedAt { get; init; }

    /// <summary>Plans that were put to work.</summary>
    public int Attempts { get; init; }

    /// <summary>The newest plan; live while <see cref="IsLive"/>.</summary>
    public RoutePlan? Plan { get; init; }

    /// <summary>UTC.</summary>
    public DateTimeOffset Deadline { get; init; }

    /// <summary>Until when a worker must be found; null when none is missing.</summary>
    public DateTimeOffset? WaitUntil { get; init; }

    /// <summary>When to look for a worker again; set in <see cref="RequestPhase.WaitingForWorker"/> only.</summary>
    public DateTimeOffset? RetryAt { get; init; }

    /// <summary>Workers that the next plan must not use.</summary>
    public ImmutableArray<WorkerIncarnation> Excluded { get; init; } = [];

    public ImmutableArray<LeaseHold> Leases { get; init; } = [];

    /// <summary>
    /// Who may still hold blocks of any epoch. Only informs: leases and links see to it that it ends.
    /// </summary>
    public ImmutableArray<AttemptHolder> Holders { get; init; } = [];

    public RequestOutcome? Outcome { get; init; }

    public string? FinishReason { get; init; }

    /// <summary>Why the request failed or was cancelled; before that why its last attempt was given up.</summary>
    public ErrorCode? Error { get; init; }

    public string? ErrorMessage { get; init; }

    /// <summary>Output tokens that the owner is known to have, at least.</summary>
    public int OutputTokens { get; init; }

    public int PrefixHitTokens { get; init; }

    public long BlocksMoved { get; init; }

    public long BytesMoved { get; init; }

    /// <summary>Reports that were dropped because their epoch is not the current one.</summary>
    public long StaleReports { get; init; }

    public ImmutableArray<RequestLogEntry> Log { get; init; } = [];

    public bool IsTerminal => Phase is RequestPhase.Finished or RequestPhase.Failed or RequestPhase.Cancelled;

    /// <summary>The plan was dispatched and not given up.</summary>
    public bool IsLive => Phase is RequestPhase.Dispatched or RequestPhase.HandingOff or RequestPhase.Decoding;

    /// <summary>When a <see cref="ClockTicked"/> is needed next; null = never.</summary>
    public DateTimeOffset? DueAt => Phase switch
    {
        RequestPhase.Received => null,
        _ when IsTerminal => null,
        RequestPhase.WaitingForWorker => Earliest(Earliest(Deadline, WaitUntil), RetryAt),
        _ => Earliest(Deadline, Migration?.Until),
    };

    /// <summary>The record that clients and operators see.</summary>
    public RequestRecord ToRecord(RequestSpec spec) => new()
    {
        RequestId = spec.RequestId,
        Model = spec.Model,
        Phase = Phase.ToString(),
        Epoch = Epoch,
        PromptTokens = spec.PromptTokens.Length,
        OutputTokens = OutputTokens,
        Seed = spec.Sampling.Seed,
        Plan = Plan,
        Outcome = Outcome,
        FinishReason = FinishReason,
        Error = Error,
        ErrorMessage = ErrorMessage,
        BlocksMoved = BlocksMoved,
        BytesMoved = BytesMoved,
        Log = Log,
        Migrations = Migrations,
    };

    private static DateTimeOffset Earliest(DateTimeOffset time, DateTimeOffset? other) =>
        other is { } at && at < time ? at : time;
}
