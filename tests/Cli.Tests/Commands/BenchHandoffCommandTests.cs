using System.Text.Json;

namespace Krewe.Cli.Tests.Commands;

public sealed class BenchHandoffCommandTests
{
    [Fact]
    public async Task Both_transports_and_both_ways_to_a_first_token_are_measured()
    {
        var run = await Run.Krewe(
            ["bench", "handoff", "--json", "--prompt-tokens", "128", "--repeats", "1", "--model", BundledModel.Find()]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        var transports = json.RootElement.GetProperty("transports").EnumerateArray().ToArray();
        Assert.Equal(["tcp", "shared"], transports.Select(row => row.GetProperty("transport").GetString()));
        Assert.Equal(["raw_socket", "memcpy"], transports.Select(row => row.GetProperty("limit").GetString()));
        Assert.All(transports, row =>
        {
            Assert.Equal(16 << 20, row.GetProperty("bytes").GetInt64());
            var (speed, limit) = (Number(row, "bytes_per_second"), Number(row, "limit_bytes_per_second"));
            Assert.True(speed > 0 && limit > 0);
            Assert.Equal(speed / limit, Number(row, "ratio"), precision: 9);
        });
        var times = json.RootElement.GetProperty("time_to_first_token").EnumerateArray().ToArray();
        Assert.Equal(["tcp", "shared"], times.Select(row => row.GetProperty("transport").GetString()));
        Assert.All(times, row => Assert.True(Number(row, "whole_ms") > 0 && Number(row, "handed_off_ms") > 0));
    }

    private static double Number(JsonElement row, string name) => row.GetProperty(name).GetDouble();
}
