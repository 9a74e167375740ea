using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>
/// Somebody wants the running sequence on <paramref name="Target"/>. Ignored when it cannot move now:
/// <see cref="RequestMachine.WhyNotMigrate"/> says why.
/// </summary>
public sealed record MigrationRequested(DateTimeOffset At, WorkerIncarnation Target, string Reason)
    : RequestEvent(At);

/// <summary>The owner will never take a token of this successor: it had taken none.</summary>
public sealed record MigrationRevoked(DateTimeOffset At, int Epoch) : RequestEvent(At);

/// <summary>The worker has to be left at once, KV or not.</summary>
public sealed record EvictionRequested(DateTimeOffset At, WorkerIncarnation Worker, string Reason)
    : RequestEvent(At);

/// <summary>
/// Let the successor begin beside the current epoch; answer with <see cref="PlanRefused"/> when a link is gone.
/// </summary>
/// <param name="Plan">The successor.</param>
/// <param name="Source">Who runs the sequence.</param>
/// <param name="SourceEpoch">Under which epoch.</param>
public sealed record DispatchMigration(RoutePlan Plan, WorkerIncarnation Source, int SourceEpoch) : RequestEffect;

/// <summary>
/// Make the owner refuse the successor; answer with <see cref="MigrationRevoked"/> when it had not adopted it. When it
/// had, the report of the commit is on its way and no answer is due.
/// </summary>
public sealed record RevokeMigration(RoutePlan Plan) : RequestEffect;

/// <summary>Make the owner refuse the successor, and tell its worker to free what it holds of it.</summary>
public sealed record AbortMigration(RoutePlan Plan, string Reason) : RequestEffect;
