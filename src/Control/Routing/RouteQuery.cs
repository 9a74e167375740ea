using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Routing;

/// <summary>What needs workers.</summary>
/// <param name="PrefillTokens">Tokens to compute before the first new one: the prompt, and output so far.</param>
/// <param name="ContextTokens">Tokens of the whole context at its end, at most.</param>
/// <param name="Excluded">Workers that must not be used.</param>
public sealed record RouteQuery(
    int PrefillTokens, int ContextTokens, ImmutableArray<WorkerIncarnation> Excluded);

/// <summary>A policy's answer: <see cref="RouteChosen"/> or <see cref="RouteRefused"/>.</summary>
public abstract record RouteChoice;

/// <summary>Where to compute; equal workers mean that no handoff is needed.</summary>
/// <param name="Reason">Why these, in words an operator can read.</param>
public sealed record RouteChosen(WorkerIncarnation Prefill, WorkerIncarnation Decode, string Reason) : RouteChoice;

/// <summary>Nobody can take it, and what to change.</summary>
public sealed record RouteRefused(ErrorCode Code, string Message) : RouteChoice;

/// <summary>Chooses workers from a snapshot. A pure function: equal snapshots give equal choices.</summary>
public interface IRoutingPolicy
{
    RouteChoice Choose(RouteQuery query, ImmutableArray<RouteCandidate> workers);
}
