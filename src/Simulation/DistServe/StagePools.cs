namespace Krewe.Simulation.DistServe;

/// <summary>Instances and their costs. At least one pool is there.</summary>
/// <param name="Prefill">Null = requests come with their KV and first token: decode alone.</param>
/// <param name="Decode">Null = each prefill instance decodes too, prefill first.</param>
internal sealed record StagePools(
    StageCosts? Prefill, int PrefillInstances, StageCosts? Decode, int DecodeInstances);
