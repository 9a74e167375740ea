using System.CommandLine;
using Krewe.Abstractions;

namespace Krewe.Cli.Tests.Arguments;

public sealed class CoreListTests
{
    [Theory]
    [InlineData("0", new[] { 0 })]
    [InlineData("3,1", new[] { 3, 1 })]
    [InlineData("0-2,7", new[] { 0, 1, 2, 7 })]
    public void Lists_and_ranges_are_read_in_order(string text, int[] cores) => Assert.Equal(cores, Read(text));

    [Theory]
    [InlineData("x")]
    [InlineData("")]
    [InlineData("2-1")]
    [InlineData("0-1-2")]
    [InlineData("-1")]
    [InlineData("5000")]
    public void What_is_no_core_is_refused_with_the_rule(string text)
    {
        var option = CoreList.Option("--pin", "Cores.");
        var errors = new Command("x") { option }.Parse([$"--pin={text}"]).Errors;
        Assert.Contains(errors, error => error.Message.Contains("--pin", StringComparison.Ordinal));
    }

    [Fact]
    public void Cores_are_dealt_to_the_workers_in_turn()
    {
        var dealt = CoreList.Deal([Worker(2, [4, 5, 6]), Worker(1, [4, 5, 6])]);
        Assert.Equal([4, 5], dealt[0].PinnedCores);
        Assert.Equal([6], dealt[1].PinnedCores);
    }

    [Fact]
    public void Too_few_cores_for_all_threads_are_refused()
    {
        var dealt = CoreList.Deal([Worker(1, [4, 5, 6]), Worker(1, [4, 5, 6])]);
        Assert.All(dealt, worker => Assert.Contains(
            worker.Validate(), error => error.Contains("3 cores for 1 threads", StringComparison.Ordinal)));
    }

    private static int[]? Read(string text)
    {
        var option = CoreList.Option("--pin", "Cores.");
        var result = new Command("x") { option }.Parse(["--pin", text]);
        Assert.Empty(result.Errors);
        return result.GetValue(option);
    }

    private static WorkerOptions Worker(int threads, int[] cores) => new()
    {
        WorkerId = "w",
        Role = WorkerRole.Mixed,
        ModelDirectory = ".",
        Silos = ["127.0.0.1:1"],
        Threads = threads,
        PinnedCores = cores,
    };
}
