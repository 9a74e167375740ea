using System.Text.Json;

namespace Krewe.Cli.Tests.Commands;

public sealed class SimulateCommandTests
{
    [Fact]
    public async Task Faults_says_what_many_seeds_came_to()
    {
        var run = await Run.Krewe("simulate", "faults", "--seed", "7", "--runs", "20");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("20 runs from seed 7, no violation", run.Out);
    }

    [Fact]
    public async Task Distserve_writes_a_line_for_each_request()
    {
        var workload = Path.GetTempFileName();
        var csv = Path.GetTempFileName();
        await File.WriteAllTextAsync(workload, """[{"start_time":0,"prompt_len":100,"output_len":5}]""");

        var run = await Run.Krewe("simulate", "distserve", "--workload", workload, "--csv", csv);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        var lines = await File.ReadAllLinesAsync(csv);
        Assert.Equal("req_id,first_token_latency,tpot,total_latency", lines[0]);
        Assert.StartsWith("0,", lines[1]);
        File.Delete(workload);
        File.Delete(csv);
    }

    [Fact]
    public async Task A_workload_that_is_not_there_is_named()
    {
        var run = await Run.Krewe("simulate", "distserve", "--workload", "no-such-file");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--workload is 'no-such-file'; it must be a file, and it does not exist.", run.Error);
    }

    [Fact]
    public async Task A_trace_runs_under_several_policies_and_rates()
    {
        using var folder = new Folder();
        await File.WriteAllLinesAsync(folder.At("trace.csv"), Trace(60));

        var run = await Run.Krewe(
            "simulate", "--trace", folder.At("trace.csv"), "--format", "azure", "--policy", "round-robin,least-loaded",
            "--rate-scale", "1,2", "--json", folder.At("out.json"), "--svg", folder.At("out.svg"));

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("60 requests over", run.Error);
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(folder.At("out.json")));
        Assert.Equal(4, json.RootElement.GetArrayLength());
        Assert.All(json.RootElement.EnumerateArray(), r => Assert.Equal(60, r.GetProperty("requests").GetInt32()));
        Assert.StartsWith("<svg", await File.ReadAllTextAsync(folder.At("out.svg")));
    }

    [Fact]
    public async Task One_run_can_be_written_request_by_request()
    {
        using var folder = new Folder();
        await File.WriteAllLinesAsync(folder.At("trace.csv"), Trace(5));

        var run = await Run.Krewe(
            "simulate", "--trace", folder.At("trace.csv"), "--format", "azure", "--csv", folder.At("out.csv"));

        Assert.Equal(ExitCode.Success, run.ExitCode);
        var lines = await File.ReadAllLinesAsync(folder.At("out.csv"));
        Assert.Equal(("req_id,first_token_latency,tpot,total_latency", 6), (lines[0], lines.Length));
    }

    [Theory]
    [InlineData("input_tokens", ExitCode.Failure, "trace.csv:1: no column 'output_tokens'")]
    [InlineData("", ExitCode.Usage, "--policy is 'fastest'; it must be all, or some of ", "--policy", "fastest")]
    [InlineData("", ExitCode.Usage, "--csv takes one --policy", "--csv", "out", "--policy", "all")]
    [InlineData("", ExitCode.Usage, "--mode disagg needs --prefill 1", "--prefill", "0")]
    [InlineData("", ExitCode.Usage, "The cell has no worker", "--mode", "chunked", "--prefill", "0", "--decode", "0")]
    [InlineData("", ExitCode.Usage, "--rate-scale is '1,x'", "--rate-scale", "1,x")]
    [InlineData("", ExitCode.Usage, "--format servegen needs --lengths FILE", "--format", "servegen")]
    public async Task What_is_wrong_is_said_in_one_line(string columns, int code, string expected, params string[] more)
    {
        using var folder = new Folder();
        await File.WriteAllTextAsync(folder.At("trace.csv"), $"arrival_ms,{columns}\n0,1");
        string[] format = more.Contains("--format") ? [] : ["--format", "azure"];

        var run = await Run.Krewe(["simulate", "--trace", folder.At("trace.csv"), .. format, .. more]);

        Assert.Equal(code, run.ExitCode);
        Assert.Contains(expected, run.Error);
    }

    [Theory]
    [InlineData("simulate")]
    [InlineData("plan")]
    public async Task Without_a_workload_there_is_nothing_to_run(string command)
    {
        var run = await Run.Krewe(command);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("Which workload? Give --trace FILE", run.Error);
    }

    [Fact]
    public async Task A_plan_is_a_table_JSON_and_Helm_values()
    {
        using var folder = new Folder();
        await File.WriteAllLinesAsync(folder.At("trace.csv"), Trace(200));

        var run = await Run.Krewe(
            "plan", "--trace", folder.At("trace.csv"), "--format", "azure", "--gpus-per-node", "2", "--json",
            folder.At("plan.json"), "--helm", folder.At("values.yaml"));

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("Take ", run.Out);
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(folder.At("plan.json")));
        Assert.True(json.RootElement.GetProperty("together").GetProperty("meets").GetBoolean());
        var values = await File.ReadAllTextAsync(folder.At("values.yaml"));
        Assert.Contains("prefill:\n  replicas: ", values);
        AssertKeysOfTheChart(values);
    }

    /// <summary>What a plan writes are keys of the chart: Helm's schema would refuse any other.</summary>
    private static void AssertKeysOfTheChart(string values)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Orleans.sln"))) folder = folder.Parent!;
        using var schema = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(folder.FullName, "helm", "krewe", "values.schema.json")));
        var (root, block, keys) = (schema.RootElement, default(JsonElement), 0);
        foreach (var line in values.Split('\n').Where(line => line.Length > 0 && line[0] != '#'))
        {
            var key = line.Trim().Split(':')[0];
            if (line[0] != ' ')
            {
                block = root.GetProperty("properties").GetProperty(key);
                if (block.TryGetProperty("$ref", out var name))
                    block = root.GetProperty("definitions").GetProperty(name.GetString()!.Split('/')[^1]);
                continue;
            }

            Assert.True(block.GetProperty("properties").TryGetProperty(key, out _), $"{line} is no key of the chart");
            keys++;
        }

        Assert.True(keys >= 7, values);
    }

    [Fact]
    public async Task A_model_that_does_not_fit_is_refused_with_the_arithmetic()
    {
        using var folder = new Folder();
        await File.WriteAllLinesAsync(folder.At("trace.csv"), Trace(1));

        var run = await Run.Krewe(
            "simulate", "--trace", folder.At("trace.csv"), "--format", "azure", "--model", "llama-3.1-70b");

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("70.6 G parameters x 2 B", run.Error);
    }

    private static IEnumerable<string> Trace(int requests) => Enumerable.Range(0, requests)
        .Select(i => $"{100 * i},{200 + (i % 7 * 100)},{20 + (i % 5)}")
        .Prepend("arrival_ms,input_tokens,output_tokens");

    /// <summary>A temporary folder.</summary>
    private sealed class Folder : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-");

        public string At(string name) => Path.Combine(_folder.FullName, name);

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
