namespace Krewe.Simulation;

/// <summary>A measured run of vLLM on one GPU, request by request: the same arrivals and lengths, simulated.</summary>
/// <param name="Ttft">Medians: measured and simulated, ms.</param>
/// <param name="TtftError">Median absolute percentage error over the requests.</param>
public sealed record VllmReplay(
    string Gpu, int Requests, (double Measured, double Simulated) Ttft, (double Measured, double Simulated) Tpot,
    double TtftError, double TpotError)
{
    /// <summary>
    /// Both published runs: max_num_seqs and the step budget are those of their engine arguments. The smaller GPU's KV
    /// pool limits it all: its 43,000 tokens follow from the run's own series (contexts over the share in use). The
    /// engine's own time is what every cell takes, fitted to nothing here: what was fitted to vLLM 0.12 on servers is
    /// not this one's, which schedules the next step while one runs.
    /// </summary>
    public static IReadOnlyList<VllmReplay> RunAll() => [Run("rtx4090", 256, 43_000), Run("rtxpro6000", 128, null)];

    private static VllmReplay Run(string gpu, int sequences, int? kvTokens)
    {
        var rows = MeasuredRun.Rows("validation_vllm").Where(r => r[0] == gpu).ToArray();
        var deployment = new Deployment { Model = ModelShape.Find("llama-3.1-8b"), Gpu = GpuShape.Find(gpu) };
        var trace = new Trace(gpu, [.. rows.Select(r => new TraceRequest(
            (long)(1e6 * MeasuredRun.Number(r[3])), MeasuredRun.Int(r[1]), MeasuredRun.Int(r[2])))], [], 1);
        var report = new CellSimulator(
            new CellOptions
            {
                Mode = CellMode.Chunked,
                Deployment = deployment,
                CapacityTokens = kvTokens,
                PrefillWorkers = 0,
                DecodeWorkers = 1,
                StepBudgetTokens = 2048,
                MaxRunningSequences = sequences,
            },
            trace).Run();
        var ttft = rows.Select((r, i) => (MeasuredRun.Number(r[4]), report.Outcomes[i].TtftNs / 1e6)).ToArray();
        var tpot = rows.Select((r, i) => (MeasuredRun.Number(r[5]), 1000 * report.Outcomes[i].TpotSeconds)).ToArray();
        return new VllmReplay(gpu, rows.Length, Medians(ttft), Medians(tpot), Error(ttft), Error(tpot));
    }

    private static (double Measured, double Simulated) Medians((double Measured, double Simulated)[] pairs) => (
        ServedValidation.Median(pairs.Select(p => p.Measured)),
        ServedValidation.Median(pairs.Select(p => p.Simulated)));

    private static double Error((double Measured, double Simulated)[] pairs) =>
        ServedValidation.Median(pairs.Select(p => Math.Abs(p.Simulated - p.Measured) / p.Measured));
}
