namespace Krewe.Simulation;

/// <summary>
/// Published step times of Sarathi-Serve's artifact (Yi-34B, two A100): pure decodes, pure prefills, hybrid batches.
/// </summary>
/// <param name="PrefillTokens">Rows of one prompt in the step.</param>
/// <param name="Decodes">Sequences that decode in it.</param>
/// <param name="Ms">Measured.</param>
public sealed record SarathiStep(int PrefillTokens, int Decodes, double Ms)
{
    /// <summary>The artifact's decodes attend to about this many tokens.</summary>
    private const int DecodeContext = 1024;

    public static IReadOnlyList<SarathiStep> Published { get; } =
    [
        new(0, 1, 46.8), new(0, 2, 47.5), new(0, 4, 48.8), new(0, 8, 69.7), new(0, 16, 77.3), new(0, 32, 87.9),
        new(0, 64, 127.8), new(0, 128, 189.3), new(128, 0, 48.1), new(256, 0, 121.4), new(512, 0, 105.6),
        new(1024, 0, 214.3), new(2048, 0, 366.0), new(4096, 0, 757.6), new(8192, 0, 1863), new(16_384, 0, 4407.5),
        new(0, 4, 68.12), new(1021, 3, 217.65), new(1024, 0, 217.24),
    ];

    /// <summary>The same step by the measured cost model of two A100.</summary>
    public double SimulatedMs()
    {
        var cost = CostModels.For(new Deployment
        {
            Model = ModelShape.Find("yi-34b"),
            Gpu = GpuShape.Find("a100"),
            TensorParallel = 2,
        });
        var load = default(StepLoad);
        if (PrefillTokens > 0) load.AddPrefill(PrefillTokens, 0, cost.PrefillAttentionSeconds(PrefillTokens, 0));
        for (var i = 0; i < Decodes; i++) load.AddDecode(DecodeContext);
        if (PrefillTokens > 0) load.LogitRows++;
        return 1000 * cost.StepSeconds(load);
    }
}
