using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>What can happen to a request.</summary>
/// <param name="At">When it was seen, UTC.</param>
public abstract record RequestEvent(DateTimeOffset At);

/// <summary>
/// The gateway, which took the request in at <paramref name="ArrivedAt"/>, hands it over. Legal once, and only in
/// <see cref="RequestPhase.Received"/>.
/// </summary>
public sealed record RequestStarted(DateTimeOffset At, DateTimeOffset ArrivedAt, DateTimeOffset Deadline)
    : RequestEvent(At);

/// <summary>Workers were chosen. Ignored when <see cref="RoutePlan.Epoch"/> is no longer being planned.</summary>
public sealed record RouteFound(DateTimeOffset At, RoutePlan Plan) : RequestEvent(At);

/// <summary>No worker can take <paramref name="Epoch"/>. Ignored when that is no longer being planned.</summary>
public sealed record RouteMissing(DateTimeOffset At, int Epoch, ErrorCode Code, string Message) : RequestEvent(At);

/// <summary>Every lease of the plan was granted. When the plan was given up meanwhile, they are released.</summary>
public sealed record LeasesGranted(DateTimeOffset At, RoutePlan Plan) : RequestEvent(At);

/// <summary>
/// The plan could not be put to work: a lease was refused, or a link broke while it was dispatched. Nothing of it is
/// with
/// <paramref name="Refusers"/>, who are not asked again until something changes. Not counted as an attempt.
/// </summary>
public sealed record PlanRefused(
    DateTimeOffset At, RoutePlan Plan, ImmutableArray<WorkerIncarnation> Refusers, ErrorCode Code, string Message)
    : RequestEvent(At);

/// <summary>A worker's or the owner's report, by way of the owning silo.</summary>
public sealed record Reported(DateTimeOffset At, RequestReport Report) : RequestEvent(At);

/// <summary>A worker did not renew the lease of an attempt: it has restarted, or it is given up.</summary>
public sealed record LeaseLost(DateTimeOffset At, int Epoch, WorkerIncarnation Worker) : RequestEvent(At);

/// <summary>Ends the request from outside. The first outcome stands.</summary>
public sealed record CancelRequested(
    DateTimeOffset At, RequestOutcome Outcome, string Reason, string? FinishReason, int OutputTokens)
    : RequestEvent(At);

/// <summary>The set of ready workers may have changed. Matters only to a request that waits for one.</summary>
public sealed record WorkersChanged(DateTimeOffset At) : RequestEvent(At);

/// <summary>Time has passed: see <see cref="RequestState.DueAt"/>. Harmless at any moment.</summary>
public sealed record ClockTicked(DateTimeOffset At) : RequestEvent(At);
