namespace Krewe.Simulation;

/// <summary>Simulated means beside measured ones.</summary>
public sealed record ValidatedRun(MeasuredRun Measured, double TtftMs, double TpotMs)
{
    public double TtftError => Math.Abs(TtftMs - Measured.TtftMs) / Measured.TtftMs;

    public double TpotError => Math.Abs(TpotMs - Measured.TpotMs) / Measured.TpotMs;
}

/// <summary>Median absolute percentage errors of one configuration.</summary>
public sealed record ValidatedConfiguration(string Name, int Runs, double TtftError, double TpotError);

/// <summary>Simulates published measurements and says how far off it is.</summary>
public static class ServedValidation
{
    /// <summary>Requests of one client: the benchmarks behind the measurements send about ten each.</summary>
    private const int RequestsPerClient = 10;

    /// <summary>One measurement, simulated with that engine's habits.</summary>
    public static ValidatedRun Run(
        MeasuredRun measured, EngineProfile engine, int requestsPerClient = RequestsPerClient)
    {
        var deployment = new Deployment
        {
            Model = ModelShape.Find(measured.Model),
            Gpu = GpuShape.Find(measured.Gpu),
            TensorParallel = measured.TensorParallel,
            WeightBytes = measured.Weights == "fp8" ? 1 : 2,
            KvBytes = measured.Weights == "fp8" ? engine.KvBytesWithFp8 : 2,
        };
        var requests = Requests(measured, requestsPerClient * measured.Clients, engine.LengthSpread);
        var report = new CellSimulator(
            new CellOptions
            {
                Mode = engine.Mode,
                Deployment = deployment,
                Cost = MeasuredCost.TryCreate(deployment, engine.Overhead),
                PrefillWorkers = 0,
                DecodeWorkers = 1,
                StepBudgetTokens = engine.StepBudgetTokens,
                PrefillBudgetTokens = engine.StepBudgetTokens,
                MaxRunningSequences = 1024,
                ClosedLoopClients = measured.Clients,
            },
            new Trace("closed loop", requests, [], 1)).Run();
        return new ValidatedRun(measured, report.TtftMs.Mean + (1000 * engine.RequestSeconds), report.TpotMs.Mean);
    }

    /// <summary>
    /// Benchmarks vary lengths or do not: with equal ones every client sends its next request at the same instant for
    /// ever, and each burst queues behind itself.
    /// </summary>
    private static List<TraceRequest> Requests(MeasuredRun measured, int count, double spread)
    {
        var random = new SeededRandom((ulong)count);
        int Around(int tokens) =>
            Math.Max(1, (int)Math.Round(tokens * (1 + (spread * ((2 * random.NextDouble()) - 1)))));
        var requests = new List<TraceRequest>(count);
        for (var i = 0; i < count; i++)
            requests.Add(new TraceRequest(0, Around(measured.InputTokens), Around(measured.OutputTokens)));
        return requests;
    }

    /// <summary>All published measurements, summed up per configuration.</summary>
    public static IReadOnlyList<ValidatedConfiguration> Summarize(IEnumerable<ValidatedRun> runs) =>
    [
        .. runs.GroupBy(r => r.Measured.Configuration).OrderBy(g => g.Key).Select(g => new ValidatedConfiguration(
            g.Key, g.Count(), Median(g.Select(r => r.TtftError)), Median(g.Select(r => r.TpotError)))),
    ];

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return Percentiles.At(sorted, 0.5);
    }
}
