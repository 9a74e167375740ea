using System.Text.Json;

namespace Krewe.Simulation;

/// <summary>
/// Requests after ServeGen (Xiang et al., arXiv:2505.09999): per client and 10-minute window a rate and a Gamma or
/// Weibull law of gaps, per client and 6-hour window quantiles of lengths.
/// </summary>
public static class ServeGenTrace
{
    private const double WindowSeconds = 600;
    private const double LengthWindowSeconds = 6 * 3600;

    /// <summary>The shares that the files' quantiles stand for.</summary>
    private static readonly double[] Shares = [0, .01, .05, .10, .25, .50, .75, .90, .95, .99, .999, 1];

    /// <summary>
    /// Draws the requests of [<paramref name="fromSeconds"/>, +<paramref name="seconds"/>) of the recorded days, at
    /// <paramref name="rateScale"/> times the recorded rates. A client without lengths in the files takes those of the
    /// client with the most lengths.
    /// </summary>
    public static Trace Generate(
        string ratesPath, string lengthsPath, double fromSeconds, double seconds, double rateScale, ulong seed,
        TraceLimits? limits = null)
    {
        limits ??= new TraceLimits();
        var lengths = ReadLengths(lengthsPath, limits);
        var arrivals = new List<(double Seconds, int Client, double Window)>();
        using var lines = new TraceLines(ratesPath, limits.LineLengthMax);
        var columns = new CsvColumns(lines);
        int client = columns.Require("client"), start = columns.Require("t_s"), rate = columns.Require("rate_rps");
        int law = columns.Require("dist"), shape = columns.Require("p1"), scale = columns.Require("p2");
        while (columns.Next())
        {
            var begin = columns.Number(start);
            if (begin + WindowSeconds <= fromSeconds || begin >= fromSeconds + seconds) continue;
            var perSecond = columns.Number(rate) * rateScale;
            if (!(perSecond >= 0)) throw lines.Bad($"rate_rps is {columns.Text(rate)}; it must be at least 0.");
            if (perSecond == 0) continue;
            if (columns.Number(shape) <= 0 || columns.Number(scale) <= 0)
                throw lines.Bad("p1 and p2 of the law of gaps must be above 0.");

            // A generator of its own, so that more clients or windows change nobody else's draws.
            var random = new SeededRandom(SeededRandom.Mix(
                seed ^ ((ulong)columns.Number(client) << 32) ^ (ulong)begin));
            var now = begin + (random.NextDouble() / perSecond);
            while (now < begin + WindowSeconds)
            {
                if (now >= fromSeconds && now < fromSeconds + seconds)
                    arrivals.Add((now - fromSeconds, (int)columns.Number(client), begin));
                if (arrivals.Count > limits.RequestsMax) throw lines.Bad("too many requests; lower the rate scale.");
                now += UnitGap(random, columns.Text(law), columns.Number(shape)) / perSecond;
            }
        }

        arrivals.Sort();
        return Build(arrivals, lengths, ratesPath, seed);
    }

    private static Trace Build(
        List<(double Seconds, int Client, double Window)> arrivals, Dictionary<(int, int), Lengths> lengths,
        string path, ulong seed)
    {
        if (arrivals.Count == 0) throw new SimulationException($"{path}: no request in the window asked for.");
        var usual = lengths.Values.GroupBy(l => l.Client).OrderByDescending(g => g.Count()).First().First();
        var random = new SeededRandom(SeededRandom.Mix(seed));
        var requests = new List<TraceRequest>(arrivals.Count);
        foreach (var (seconds, client, window) in arrivals)
        {
            var day = (int)(window / LengthWindowSeconds);
            if (!lengths.TryGetValue((client, day), out var found))
                found = Nearest(lengths, client, day) ?? usual;
            requests.Add(new TraceRequest(
                (long)(seconds * 1e9), found.Input.Draw(random), found.Output.Draw(random), Tenant: client));
        }

        return new Trace(Path.GetFileName(path), requests, [], 1);
    }

    private static Lengths? Nearest(Dictionary<(int Client, int Window), Lengths> lengths, int client, int window) =>
        lengths.Where(l => l.Key.Client == client).OrderBy(l => Math.Abs(l.Key.Window - window))
            .Select(l => l.Value).FirstOrDefault();

    /// <summary>A gap of mean 1.</summary>
    private static double UnitGap(SeededRandom random, string law, double shape) => law == "W"
        ? Math.Pow(-Math.Log(1 - random.NextDouble()), 1 / shape) / Special.Gamma(1 + (1 / shape))
        : Arrivals.Gamma(random, shape) / shape;

    private static Dictionary<(int Client, int Window), Lengths> ReadLengths(string path, TraceLimits limits)
    {
        var all = new Dictionary<(int, int), Lengths>();
        using var lines = new TraceLines(path, limits.LineLengthMax);
        while (lines.Next() is { } line)
        {
            try
            {
                using var document = JsonDocument.Parse(line);
                var entry = document.RootElement;
                var client = entry.GetProperty("client").GetInt32();
                var window = (int)(entry.GetProperty("t_s").GetDouble() / LengthWindowSeconds);
                all[(client, window)] = new Lengths(
                    client, Quantiles.Of(entry.GetProperty("input_tokens")),
                    Quantiles.Of(entry.GetProperty("output_tokens")));
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
            {
                throw lines.Bad($"no line of client lengths: {e.Message}");
            }
        }

        return all.Count > 0 ? all : throw lines.Bad("the file holds no lengths.");
    }

    private sealed record Lengths(int Client, Quantiles Input, Quantiles Output);

    /// <summary>A distribution by its quantiles, linear between them.</summary>
    private sealed record Quantiles(double[] Values)
    {
        public static Quantiles Of(JsonElement field)
        {
            var values = field.GetProperty("q").EnumerateArray().Select(v => v.GetDouble()).ToArray();
            if (values.Length != Shares.Length - 1)
                throw new InvalidOperationException($"{values.Length} quantiles; {Shares.Length - 1} are expected");
            return new Quantiles([values[0], .. values]);
        }

        public int Draw(SeededRandom random)
        {
            var share = random.NextDouble();
            var i = 1;
            while (share > Shares[i]) i++;
            var part = (share - Shares[i - 1]) / (Shares[i] - Shares[i - 1]);
            return Math.Max(1, (int)Math.Round(Values[i - 1] + (part * (Values[i] - Values[i - 1]))));
        }
    }
}
