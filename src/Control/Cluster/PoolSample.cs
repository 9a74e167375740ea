namespace Krewe.Control.Cluster;

/// <summary>One phase of a pool over one interval.</summary>
/// <param name="Workers">Ready workers of the phase.</param>
/// <param name="Requests">Requests that the interval brought, refused ones included. 0 is a number: no traffic.</param>
/// <param name="Met">Of these, how many met the phase's SLO; a refused one met none.</param>
/// <param name="Busy">Mean utilisation of the workers, 0 to 1.</param>
public readonly record struct PhaseSample(int Workers, int Requests, int Met, double Busy)
{
    public double Attainment => Requests == 0 ? 1 : (double)Met / Requests;
}

/// <summary>Both phases of a pool over one interval.</summary>
/// <param name="At">The interval's end.</param>
/// <param name="LastJoined">When a worker last joined or changed its role; null = long ago.</param>
public sealed record PoolSample(DateTimeOffset At, PhaseSample Prefill, PhaseSample Decode, DateTimeOffset? LastJoined);

/// <summary>What the pool should do.</summary>
public abstract record PoolAction(string Reason);

/// <summary>The phase should have that many workers.</summary>
public sealed record ScalePhase(PoolPhase Phase, int From, int To, string Reason) : PoolAction(Reason);

/// <summary>One worker should change from one phase to the other: the least loaded of it.</summary>
public sealed record SwitchRole(PoolPhase From, PoolPhase To, string Reason) : PoolAction(Reason);

/// <summary>A phase that is scaled apart from the other.</summary>
public enum PoolPhase
{
    Prefill,
    Decode,
}
