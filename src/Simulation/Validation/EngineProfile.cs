namespace Krewe.Simulation;

/// <summary>How a published engine behaves where it differs from others: to compare with measurements of it.</summary>
/// <param name="Name">vllm, sglang or trtllm.</param>
/// <param name="Mode">Chunks beside decodes, or prompts in steps of their own (SGLang's default).</param>
/// <param name="StepBudgetTokens">Its default token budget of a step on these GPUs.</param>
/// <param name="Overhead">What it adds to its kernels: fitted on the published runs, see docs/SIMULATOR.md.</param>
/// <param name="KvBytesWithFp8">Bytes of a KV number when weights have 8 bits.</param>
/// <param name="LengthSpread">By how much of themselves the benchmark's lengths vary, up and down.</param>
/// <param name="RequestSeconds">From the client's send to the scheduler and back: HTTP, tokenizer, detokenizer.</param>
public sealed record EngineProfile(
    string Name, CellMode Mode, int StepBudgetTokens, EngineOverhead Overhead, int KvBytesWithFp8,
    double LengthSpread, double RequestSeconds)
{
    public static EngineProfile Find(string name) =>
        All.FirstOrDefault(e => e.Name == name) ?? throw new SimulationException($"No engine '{name}' is known.");

    public static IReadOnlyList<EngineProfile> All { get; } =
    [
        new("vllm", CellMode.Chunked, 16_384, new EngineOverhead(0.0015, 35e-6, 1.03), 2, 0.03, 0.02),
        new("sglang", CellMode.Coloc, 16_384, new EngineOverhead(0.0015, 20e-6, 1.0), 2, 0, 0.02),
        new("trtllm", CellMode.Chunked, 16_384, new EngineOverhead(0.0006, 20e-6, 1.0), 1, 0.05, 0.02),
    ];
}
