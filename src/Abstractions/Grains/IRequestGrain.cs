using Orleans;

namespace Krewe.Abstractions;

/// <summary>
/// The life of one sequence of a request: plan, attempts, outcome. Key = <see cref="RequestSpec.GrainKey"/>. Placed on
/// the silo whose gateway took the request in. One turn per state change; tokens never pass here.
/// </summary>
public interface IRequestGrain : IGrainWithStringKey
{
    /// <summary>
    /// Admits the request, plans its first attempt and dispatches it. Throws <see cref="KreweException"/> with
    /// <see cref="ErrorCode.DuplicateRequestId"/>, <see cref="ErrorCode.NoWorkers"/>, <see cref="ErrorCode.Draining"/>
    /// or <see cref="ErrorCode.KvPoolTooSmall"/>; then nothing was dispatched, nothing is held and no record is kept.
    /// The same with <see cref="ErrorCode.ClientClosedRequest"/> when it was cancelled meanwhile.
    /// </summary>
    Task<RoutePlan> StartAsync(RequestSpec spec);

    /// <summary>
    /// The same for a sequence that was started before and whose owner is gone: it is computed again from its first
    /// token, under epochs above all that the old owner can have used. Throws <see cref="KreweException"/>
    /// (DuplicateRequestId) while it is running.
    /// </summary>
    Task<RoutePlan> ResumeAsync(RequestSpec spec);

    /// <summary>
    /// What was asked for, of a request that can be resumed and is not forgotten; null for any other.
    /// </summary>
    Task<RequestSpec?> GetSpecAsync();

    /// <summary>
    /// The silo that owns the stream, running or ended a while ago; null when the grain has just been read from
    /// storage: then the stream has no owner.
    /// </summary>
    Task<string?> GetOwnerAsync();

    /// <summary>Applies one state change; one of an older epoch is counted and dropped.</summary>
    Task ReportAsync(RequestReport report);

    /// <summary>Ends the request from outside. Idempotent: the first outcome stands.</summary>
    Task CancelAsync(RequestOutcome outcome, string reason, string? finishReason = null, int outputTokens = 0);

    /// <summary>
    /// Moves the running sequence to another worker, live: its stream does not show it. Returns null when the migration
    /// has begun (the record tells how it ends), else why it cannot.
    /// </summary>
    Task<string?> MigrateAsync(WorkerIncarnation target, string reason);

    /// <summary>
    /// Leaves a worker at once, KV or not: the sequence is computed again elsewhere from the tokens that its owner has.
    /// Without effect on a request that does not need the worker.
    /// </summary>
    Task EvictAsync(WorkerIncarnation worker, string reason);

    /// <summary>The life so far; null for an id that was never started or is forgotten.</summary>
    Task<RequestRecord?> GetRecordAsync();

    /// <summary>
    /// Deletes the record of a request that has ended, so that the id is free again. Else without effect.
    /// </summary>
    Task ForgetAsync();
}
