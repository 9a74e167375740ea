using System.Globalization;
using Krewe.Simulation.DistServe;

namespace Krewe.Simulation.Tests.DistServe;

/// <summary>Every request of the six published runs, to 1e-6 ms.</summary>
public sealed class Published_outputs_are_reproduced
{
    private const double ToleranceMs = 1e-6;

    [Theory]
    [InlineData("d13_2111.csv", "workload60.json", "distserve", "13b", 2, 1, 1, 1, 1, 1)]
    [InlineData("v13_1.csv", "workload60.json", "vllm", "13b", 1, 1, 1, 1, 1, 1)]
    [InlineData("d66_4122.csv", "workload60.json", "distserve", "66b", 4, 1, 2, 2, 1, 1)]
    [InlineData("h13_1111_x1x1.csv", "heavy400.json", "distserve", "13b", 1, 1, 1, 1, 1, 1)]
    [InlineData("h13_2111_x3x2.csv", "heavy400.json", "distserve", "13b", 2, 1, 1, 1, 3, 2)]
    [InlineData("h13v_2_1_x3.csv", "heavy400.json", "vllm", "13b", 2, 1, 1, 1, 3, 1)]
    public void Each_request_has_the_published_times(
        string fixture, string workload, string engine, string model, int tpPrefill, int ppPrefill, int tpDecode,
        int ppDecode, int prefills, int decodes)
    {
        var options = new DistServeOptions
        {
            Engine = engine,
            Model = model,
            Prefill = new(tpPrefill, ppPrefill),
            Decode = new(tpDecode, ppDecode),
            PrefillInstances = prefills,
            DecodeInstances = decodes,
        };

        var timings = DistServeSimulator.Run(options, WorkloadFile.Load(Fixture(workload)));

        Assert.Equal(0, CountDifferences(timings, ReadPublished(fixture)));
    }

    [Fact]
    public void A_cost_that_is_off_by_a_millionth_is_caught()
    {
        var published = ReadPublished("d13_2111.csv");
        var shifted = published.Select(t => t with { TotalMs = t.TotalMs * 1.000001 }).ToList();

        Assert.True(CountDifferences(shifted, published) > published.Count / 2);
    }

    private static int CountDifferences(IReadOnlyList<RequestTiming> ours, IReadOnlyList<RequestTiming> published)
    {
        Assert.Equal(published.Count, ours.Count);
        return ours.Zip(published).Count(pair =>
            pair.First.Request != pair.Second.Request
            || Math.Abs(pair.First.FirstTokenMs - pair.Second.FirstTokenMs) > ToleranceMs
            || Math.Abs(pair.First.TotalMs - pair.Second.TotalMs) > ToleranceMs
            || Math.Abs(pair.First.TpotMs - pair.Second.TpotMs) > ToleranceMs);
    }

    private static List<RequestTiming> ReadPublished(string name)
    {
        var lines = File.ReadAllLines(Fixture(name));
        var columns = lines[0].Split(',').ToList();
        double Cell(string[] row, string column) =>
            double.Parse(row[columns.IndexOf(column)], CultureInfo.InvariantCulture);
        return [.. lines.Skip(1).Select(line => line.Split(',')).Select(row => new RequestTiming(
            (int)Cell(row, "req_id"), Cell(row, "first_token_latency"), Cell(row, "total_latency"),
            Cell(row, "tpot")))];
    }

    private static string Fixture(string name) =>
        Path.Combine(AppContext.BaseDirectory, "DistServe", "Fixtures", name);
}
