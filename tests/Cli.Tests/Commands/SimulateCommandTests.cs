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

        Assert.Equal(ExitCode.Failure, run.ExitCode);
        Assert.Contains("'no-such-file' does not exist", run.Error);
    }
}
