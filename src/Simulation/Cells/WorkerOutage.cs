namespace Krewe.Simulation;

/// <summary>A worker's machine goes or comes.</summary>
/// <param name="AtNs">Virtual time.</param>
/// <param name="Worker">Among the cell's workers, prefill workers first.</param>
/// <param name="Up">True = a new process with nothing cached is ready; false = it is gone with all it held.</param>
public readonly record struct WorkerOutage(long AtNs, int Worker, bool Up);
