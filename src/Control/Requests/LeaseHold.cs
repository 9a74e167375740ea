using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Requests;

/// <summary>The phase of a worker that a lease is for: it names the worker grain that keeps it.</summary>
public enum WorkerPhase
{
    /// <summary>Kept by the prefill worker grain.</summary>
    Prefill,

    /// <summary>Kept by the decode worker grain.</summary>
    Decode,
}

/// <summary>A lease that one attempt holds or has asked for.</summary>
public sealed record LeaseHold(int Epoch, WorkerIncarnation Worker, WorkerPhase Phase)
{
    /// <summary>
    /// The leases of a plan: one on each worker; a worker that does both phases is leased for decode.
    /// </summary>
    public static ImmutableArray<LeaseHold> Of(RoutePlan plan)
    {
        var decode = new LeaseHold(plan.Epoch, plan.Decode, WorkerPhase.Decode);
        return plan.NeedsHandoff
            ? [new LeaseHold(plan.Epoch, plan.Prefill, WorkerPhase.Prefill), decode]
            : [decode];
    }
}

/// <summary>A worker that was given an attempt and has not said that it holds nothing of it any more.</summary>
public sealed record AttemptHolder(int Epoch, WorkerIncarnation Worker);
