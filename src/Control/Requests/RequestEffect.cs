using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>What the machine wants done. Effects of one transition are performed in their order.</summary>
public abstract record RequestEffect;

/// <summary>
/// Choose workers for <paramref name="Epoch"/>, none of <paramref name="Excluded"/>; answer with
/// <see cref="RouteFound"/> or <see cref="RouteMissing"/>.
/// </summary>
public sealed record ChooseRoute(int Epoch, ImmutableArray<WorkerIncarnation> Excluded) : RequestEffect;

/// <summary>
/// Ask for every lease of <see cref="LeaseHold.Of"/>; answer with <see cref="LeasesGranted"/>, or with
/// <see cref="PlanRefused"/> when one was not granted: the machine sees to it that the others go back.
/// </summary>
public sealed record AcquireLeases(RoutePlan Plan) : RequestEffect;

/// <summary>Give one lease back. Idempotent.</summary>
public sealed record ReleaseLease(LeaseHold Lease) : RequestEffect;

/// <summary>Send the attempt to its workers; answer with <see cref="PlanRefused"/> when a link is gone.</summary>
public sealed record Dispatch(RoutePlan Plan) : RequestEffect;

/// <summary>Tell the plan's workers to free what they hold of its epoch.</summary>
public sealed record Abort(RoutePlan Plan, string Reason) : RequestEffect;

/// <summary>End the owner's token stream with an error, unless it has ended.</summary>
public sealed record TellFailure(ErrorCode Code, string Message) : RequestEffect;

/// <summary>Write the request's record: its state is the one this transition ends in.</summary>
public sealed record PersistRecord : RequestEffect;
