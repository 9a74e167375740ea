using System.Text.Json;

namespace Krewe.Cli.Tests.Commands;

public sealed class BenchScenarioTests
{
    [Fact]
    public async Task Stall_measures_both_ways_of_batching_and_draws_them()
    {
        var chart = Path.GetTempFileName();
        var run = await Run.Krewe(
            ["bench", "stall", "--json", "--threads", "2", "--streams", "2", "--prompt-tokens", "300",
                "--slo-itl", "20", "--kv-memory", "64MiB", "--chart", chart]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        Assert.Equal(20, json.RootElement.GetProperty("step_budget_ms").GetDouble());
        foreach (var batching in new[] { "stall_free", "whole_prompt" })
        {
            var figures = json.RootElement.GetProperty(batching);
            Assert.True(figures.GetProperty("p99_during_ms").GetDouble() > 0);
            Assert.True(figures.GetProperty("ttft_ms").GetDouble() > 0);
        }

        Assert.StartsWith("<svg", await File.ReadAllTextAsync(chart), StringComparison.Ordinal);
        File.Delete(chart);
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_refused_with_the_context()
    {
        var run = await Run.Krewe(["bench", "stall", "--prompt-tokens", "100000"]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("context is 2048", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reuse_gives_the_same_tokens_sooner()
    {
        var run = await Run.Krewe(
            ["bench", "reuse", "--json", "--threads", "2", "--prompt-tokens", "900", "--kv-memory", "64MiB"]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        Assert.True(json.RootElement.GetProperty("same_tokens").GetBoolean());
        Assert.Equal(988, json.RootElement.GetProperty("second_turn_tokens").GetInt32());
    }

    [Fact]
    public async Task Prefix_replays_a_trace_with_each_eviction_order()
    {
        var trace = Path.GetTempFileName();
        await File.WriteAllLinesAsync(trace, ["{\"hash_ids\": [1, 2]}", "{\"hash_ids\": [1, 2, 3]}"]);
        var run = await Run.Krewe(["bench", "prefix", "--json", "--trace", trace, "--blocks", "10"]);
        File.Delete(trace);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        var rows = json.RootElement.EnumerateArray().ToArray();
        Assert.Equal(["lru", "reusecost"], rows.Select(row => row.GetProperty("eviction").GetString()));
        Assert.All(rows, row => Assert.Equal(0.4, row.GetProperty("hit_rate").GetDouble(), 9));
    }

    [Fact]
    public async Task A_trace_that_does_not_exist_is_named()
    {
        var run = await Run.Krewe(["bench", "prefix", "--trace", "nowhere.jsonl"]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("nowhere.jsonl", run.Error, StringComparison.Ordinal);
    }
}
