using Krewe.Simulation.DistServe;

namespace Krewe.Simulation;

/// <summary>A published curve: attainment (%) at rates per GPU, and the placement that it was measured on.</summary>
/// <param name="Slo">The paper's limits.</param>
/// <param name="ArtifactSlo">Those of its artifact, where they differ.</param>
public sealed record PublishedCurve(
    string Name, string Engine, string Model, InstanceShape Prefill, InstanceShape Decode, ServiceLevel Slo,
    ServiceLevel ArtifactSlo, double[] RatesPerGpu, double[] Attained)
{
    public int Gpus => (Prefill.TensorParallel * Prefill.PipelineParallel)
        + (Engine == "distserve" ? Decode.TensorParallel * Decode.PipelineParallel : 0);
}

/// <summary>
/// DistServe's evaluation (OSDI'24, figure 8 and table 2; exact arrays from the artifact's notebook, DistServe's own
/// lines read off the figure to a point) beside this simulator on the nearest public lengths.
/// </summary>
public static class DistServeCurves
{
    /// <summary>The paper's mean lengths of ShareGPT; the public pairs are scaled to them.</summary>
    public const double PromptMean = 755.5;

    /// <summary>
    /// With prompts of this mean and the artifact's limits DistServe's published line comes out: the lengths that were
    /// sampled for the figure are not published.
    /// </summary>
    public const double ShortPromptMean = 300;

    private const double OutputMean = 200.3;

    private const int Requests = 1000;

    public static IReadOnlyList<PublishedCurve> Figures { get; } =
    [
        new("vLLM 66B", "vllm", "66b", new(4, 1), new(1, 1), new(2.5, 0.15), new(0.4, 0.1),
            [.0625, .125, .25, .375, .5, .625, .75, .875, 1], [100, 100, 97, 88, 81, 67, 58, 51, 43]),
        new("DistServe 66B", "distserve", "66b", new(4, 1), new(2, 2), new(2.5, 0.15), new(0.4, 0.1),
            [.0625, .125, .25, .375, .5, .625, .75, .875, 1], [100, 100, 100, 100, 100, 98.6, 99.1, 98.1, 85.8]),
        new("vLLM 13B", "vllm", "13b", new(1, 1), new(1, 1), new(0.25, 0.1), new(0.25, 0.1),
            [.25, .5, 1, 1.5, 2, 2.25, 2.5, 3], [90, 90, 85, 81, 71, 70, 68, 55]),
        new("DistServe 13B", "distserve", "13b", new(2, 1), new(1, 1), new(0.25, 0.1), new(0.25, 0.1),
            [.25, .5, 1, 1.5, 2, 2.25, 2.5, 3], [100, 100, 100, 100, 93.9, 91.8, 84.8, 74.8]),
    ];

    /// <summary>Table 2: attainment (%) by requests a second; real and the authors' own simulator.</summary>
    public static IReadOnlyList<(double Rate, double Vllm, double VllmSimulated, double DistServe, double Simulated)>
        Table2
    { get; } =
    [
        (1.0, 97.0, 96.8, 100, 100), (1.5, 65.5, 65.1, 100, 100), (2.0, 52.8, 51.0, 99.3, 99.3),
        (2.5, 44.9, 46.1, 87.3, 88.3), (3.0, 36.7, 38.3, 83.0, 84.1), (3.5, 27.8, 29.0, 77.3, 77.0),
        (4.0, 23.6, 24.1, 70.0, 68.9),
    ];

    /// <summary>ShareGPT pairs under 2,048 tokens, scaled to a mean prompt and the paper's mean output.</summary>
    public static Trace Lengths(double promptMean)
    {
        var pairs = MeasuredRun.Rows("sharegpt_pairs")
            .Select(r => (Prompt: MeasuredRun.Number(r[0]), Output: MeasuredRun.Number(r[1]))).ToArray();
        var (prompt, output) = (promptMean / pairs.Average(p => p.Prompt), OutputMean / pairs.Average(p => p.Output));
        static int Whole(double tokens) => Math.Max(1, (int)Math.Round(tokens));
        var requests = pairs.Select(p => new TraceRequest(0, Whole(p.Prompt * prompt), Whole(p.Output * output)));
        return new Trace("ShareGPT", [.. requests], [], 1);
    }

    /// <summary>Attainment (%) of one instance pair at a rate per second.</summary>
    public static double Attainment(
        PublishedCurve curve, double ratePerSecond, ServiceLevel slo, double promptMean, ulong seed)
    {
        var trace = Arrivals.Draw(Lengths(promptMean), ratePerSecond, 1, Requests, seed);
        var timings = DistServeSimulator.Run(
            new DistServeOptions
            {
                Engine = curve.Engine,
                Model = curve.Model,
                Prefill = curve.Prefill,
                Decode = curve.Decode,
            },
            [.. trace.Requests.Select(r => new SimulatedRequest(r.ArrivalNs / 1e9, r.PromptTokens, r.OutputTokens))]);
        return 100.0 * timings.Count(t =>
            t.FirstTokenMs <= 1000 * slo.TtftSeconds && t.TpotMs <= 1000 * slo.TpotSeconds) / timings.Count;
    }
}
