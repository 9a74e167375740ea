namespace Krewe.Simulation.Faults;

/// <summary>An invariant that did not hold, with what is needed to see it again.</summary>
public sealed class FaultViolationException(string message) : Exception(message);
