namespace Krewe.Simulation;

/// <summary>Generated arrivals for length pairs, and draws that traces are made of. All from one seed.</summary>
public static class Arrivals
{
    /// <summary>
    /// <paramref name="count"/> requests drawn from <paramref name="pairs"/>, arriving at
    /// <paramref name="ratePerSecond"/>; gaps are Gamma with coefficient of variation <paramref name="cv"/> (1 =
    /// Poisson).
    /// </summary>
    public static Trace Draw(Trace pairs, double ratePerSecond, double cv, int count, ulong seed)
    {
        if (!(ratePerSecond > 0)) throw new SimulationException("The arrival rate must be above 0.");
        if (!(cv >= 0)) throw new SimulationException("The coefficient of variation of arrivals must be at least 0.");
        var random = new SeededRandom(seed);
        var requests = new List<TraceRequest>(count);
        var now = 0.0;
        for (var i = 0; i < count; i++)
        {
            var pair = pairs.Requests[(int)(random.NextDouble() * pairs.Count)];
            requests.Add(pair with { ArrivalNs = (long)(now * 1e9) });
            now += Gap(random, cv) / ratePerSecond;
        }

        return new Trace(pairs.Name, requests, pairs.Hashes, pairs.HashTokens);
    }

    /// <summary>
    /// Requests in the given order at given rate: how a measured benchmark replays a list. No draw of lengths.
    /// </summary>
    public static Trace InOrder(Trace pairs, double ratePerSecond, double cv, ulong seed)
    {
        var random = new SeededRandom(seed);
        var requests = new List<TraceRequest>(pairs.Count);
        var now = 0.0;
        foreach (var pair in pairs.Requests)
        {
            requests.Add(pair with { ArrivalNs = (long)(now * 1e9) });
            now += Gap(random, cv) / ratePerSecond;
        }

        return new Trace(pairs.Name, requests, pairs.Hashes, pairs.HashTokens);
    }

    /// <summary>A gap of mean 1 with coefficient of variation <paramref name="cv"/>; 0 = regular.</summary>
    public static double Gap(SeededRandom random, double cv)
    {
        if (cv == 0) return 1;
        var shape = 1 / (cv * cv);
        return cv == 1 ? -Math.Log(1 - random.NextDouble()) : Gamma(random, shape) / shape;
    }

    /// <summary>A Gamma draw of scale 1 (Marsaglia and Tsang, 2000).</summary>
    public static double Gamma(SeededRandom random, double shape)
    {
        if (shape < 1) return Gamma(random, shape + 1) * Math.Pow(1 - random.NextDouble(), 1 / shape);
        var d = shape - (1.0 / 3);
        var c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            var x = Normal(random);
            var v = Math.Pow(1 + (c * x), 3);
            if (v <= 0) continue;
            var u = 1 - random.NextDouble();
            if (Math.Log(u) < (0.5 * x * x) + d - (d * v) + (d * Math.Log(v))) return d * v;
        }
    }

    private static double Normal(SeededRandom random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
