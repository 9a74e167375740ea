namespace Krewe.Simulation;

/// <summary>A simulation that cannot be run as asked: the message says what is wrong and what there is.</summary>
public sealed class SimulationException(string message) : Exception(message);
