namespace Krewe.Simulation.Tests.Workloads;

public sealed class Traces_are_read : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Mooncake_arrivals_are_spread_inside_their_step_in_order()
    {
        File.WriteAllLines(_path, Enumerable.Range(0, 30).Select(i =>
            $"{{\"timestamp\":{i / 10 * 3000},\"input_length\":600,\"output_length\":5,\"hash_ids\":[7,{100 + i}]}}"));

        var trace = TraceReader.Read(_path, TraceFormat.Mooncake, 3);
        var again = TraceReader.Read(_path, TraceFormat.Mooncake, 3);

        Assert.Equal(trace.Requests, again.Requests);
        Assert.Equal(trace.Requests.Select(r => r.ArrivalNs).Order(), trace.Requests.Select(r => r.ArrivalNs));
        Assert.All(trace.Requests.Index(), r =>
            Assert.InRange(r.Item.ArrivalNs, r.Index / 10 * 3_000_000_000L, ((r.Index / 10) + 1) * 3_000_000_000L));
        Assert.Equal(30, trace.Requests.Select(r => r.ArrivalNs).Distinct().Count());
        Assert.Equal(31, trace.Hashes.Distinct().Count());
    }

    [Fact]
    public void Azure_in_both_spellings_gives_the_same_trace()
    {
        File.WriteAllLines(_path, [
            "TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.9799600,374,44",
            "2023-11-16 18:17:04.0319600,396,109",
        ]);
        var published = TraceReader.Read(_path, TraceFormat.Azure, 1).Requests;
        File.WriteAllLines(_path, ["arrival_ms,input_tokens,output_tokens", "0,374,44", "52,396,109"]);
        var ours = TraceReader.Read(_path, TraceFormat.Azure, 1).Requests;

        Assert.Equal(ours, published);
    }

    [Fact]
    public void Own_lines_may_name_blocks_and_tenants()
    {
        File.WriteAllLines(_path, [
            """{"arrival_ms":0,"prompt_tokens":32,"output_tokens":4,"blocks":[5,9],"block_tokens":16,"tenant":2}""",
            """{"arrival_ms":1.5,"prompt_tokens":16,"output_tokens":1,"blocks":[5],"block_tokens":16}""",
        ]);

        var trace = TraceReader.Read(_path, TraceFormat.Krewe, 1);

        Assert.Equal(16, trace.HashTokens);
        Assert.Equal([0, 1, 0], trace.Hashes);
        Assert.Equal((2, 1_500_000L), (trace.Requests[0].Tenant, trace.Requests[1].ArrivalNs));
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(3.0)]
    [InlineData(0.5)]
    public void Generated_gaps_have_the_rate_and_the_variation_asked_for(double cv)
    {
        var random = new SeededRandom(11);
        var gaps = Enumerable.Range(0, 200_000).Select(_ => Arrivals.Gap(random, cv)).ToArray();
        var mean = gaps.Average();
        var deviation = Math.Sqrt(gaps.Average(g => (g - mean) * (g - mean)));

        Assert.Equal(1, mean, 0.03);
        Assert.Equal(cv, deviation / mean, 0.05 * cv);
    }

    [Fact]
    public void ServeGen_windows_give_their_rates_and_lengths()
    {
        var lengths = _path + ".lengths";
        File.WriteAllLines(_path, [
            "client,t_s,rate_rps,cv,dist,p1,p2", "3,0,5,1,G,0.7,0.1", "3,600,1,1,W,0.6,0.1", "4,600,2,1,G,1,1",
        ]);
        const string input = "{\"q\":[9,9,9,9,9,10,11,11,11,11,11]}", output = "{\"q\":[5,5,5,5,5,5,5,5,5,5,5]}";
        File.WriteAllText(
            lengths, "{\"client\":3,\"t_s\":0,\"input_tokens\":" + input + ",\"output_tokens\":" + output + "}");
        try
        {
            var trace = ServeGenTrace.Generate(_path, lengths, 0, 1200, 1, 5);

            Assert.InRange(trace.Requests.Count(r => r.ArrivalNs < 600e9), 2500, 3500);
            Assert.InRange(trace.Requests.Count(r => r.Tenant == 4), 1000, 1400);
            Assert.All(trace.Requests, r => Assert.InRange(r.PromptTokens, 9, 11));
            Assert.Equal(trace.Requests.Select(r => r.ArrivalNs).Order(), trace.Requests.Select(r => r.ArrivalNs));
        }
        finally
        {
            File.Delete(lengths);
        }
    }
}
