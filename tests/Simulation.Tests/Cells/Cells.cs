namespace Krewe.Simulation.Tests.Cells;

/// <summary>Small cells and traces for tests.</summary>
internal static class Cells
{
    public static readonly Deployment Llama8b = new()
    {
        Model = ModelShape.Find("llama-3.1-8b"),
        Gpu = GpuShape.Find("h100"),
    };

    public static CellOptions Options(CellMode mode, int prefill = 1, int decode = 1) => new()
    {
        Mode = mode,
        Deployment = Llama8b,
        PrefillWorkers = prefill,
        DecodeWorkers = decode,
        CapacityTokens = 64_000,
    };

    public static Trace Of(params TraceRequest[] requests) => new("test", [.. requests], [], 1);

    /// <summary>Poisson arrivals of prompts and outputs of mixed lengths.</summary>
    public static Trace Mixed(int count, double rate, ulong seed = 7)
    {
        var random = new SeededRandom(seed);
        var pairs = Enumerable.Range(0, 200)
            .Select(_ => new TraceRequest(0, random.Between(10, 3000), random.Between(1, 200))).ToArray();
        return Arrivals.Draw(Of(pairs), rate, 1, count, seed);
    }

    /// <summary>A model that tests can calculate by hand: ms a step, a row, a decode's context token.</summary>
    public sealed class Linear(double stepMs, double rowMs, double contextMs) : IStepCost
    {
        public string Source => "linear";

        public double StepSeconds(in StepLoad load) =>
            (stepMs + (rowMs * load.Tokens) + (contextMs * load.DecodeContextTokens)) / 1000;

        public double PrefillAttentionSeconds(int rows, int past) => 0;
    }
}
