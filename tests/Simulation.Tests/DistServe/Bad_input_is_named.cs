using Krewe.Simulation.DistServe;

namespace Krewe.Simulation.Tests.DistServe;

public sealed class Bad_input_is_named
{
    private static readonly DistServeOptions Small = new()
    {
        Engine = "distserve",
        Model = "13b",
        Prefill = new(1, 1),
    };

    [Fact]
    public void A_shape_without_costs_lists_those_there_are() =>
        Assert.Contains("there are: 1, 2, 4", Message(Small with { Prefill = new(3, 1) }, []));

    [Fact]
    public void An_unknown_engine_is_named() =>
        Assert.Contains("'orca'", Message(Small with { Engine = "orca" }, []));

    [Fact]
    public void A_prompt_beyond_the_instance_gives_the_arithmetic() =>
        Assert.Contains("70000 prompt tokens", Message(Small, [new(0, 70_000, 1)]));

    [Fact]
    public void A_context_beyond_a_decode_batch_is_refused() =>
        Assert.Contains("holds 50000", Message(Small, [new(0, 40_000, 20_000)]));

    [Fact]
    public void Arrivals_out_of_order_are_refused() =>
        Assert.Contains("sort the workload", Message(Small, [new(1, 10, 10), new(0, 10, 10)]));

    [Theory]
    [InlineData("{}", "must be a JSON array")]
    [InlineData("[{\"start_time\":0,\"prompt_len\":1}]", "entry 0 has no 'output_len'")]
    [InlineData("[{\"start_time\":-1,\"prompt_len\":1,\"output_len\":1}]", "'start_time' must be a number of at")]
    [InlineData("[", "not JSON")]
    public void A_bad_workload_file_is_named_with_entry_and_reason(string content, string expected)
    {
        var path = Path.GetTempFileName();
        File.WriteAllText(path, content);
        try
        {
            var error = Assert.Throws<SimulationException>(() => WorkloadFile.Load(path));
            Assert.Contains(expected, error.Message);
            Assert.Contains(path, error.Message);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string Message(DistServeOptions options, IReadOnlyList<SimulatedRequest> workload) =>
        Assert.Throws<SimulationException>(() => DistServeSimulator.Run(options, workload)).Message;
}
