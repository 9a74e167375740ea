using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>A migration under way: the successor of the current epoch.</summary>
/// <param name="Plan">The successor's epoch and worker.</param>
/// <param name="IsDispatched">The target was told; before that only a lease is being asked for.</param>
/// <param name="StartedAt">UTC.</param>
/// <param name="Until">When it is given up.</param>
/// <param name="SourceLoss">The report that the source is lost, while the owner is asked who goes on.</param>
public sealed record MigrationHold(
    RoutePlan Plan, bool IsDispatched, DateTimeOffset StartedAt, DateTimeOffset Until,
    RequestReport? SourceLoss = null);
