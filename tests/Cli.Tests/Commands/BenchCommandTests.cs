using System.Text.Json;

namespace Krewe.Cli.Tests.Commands;

public sealed class BenchCommandTests
{
    private static readonly string[] Small =
    [
        "--threads", "2", "--prompt-tokens", "40", "--output-tokens", "4", "--concurrency", "1,3",
        "--step-tokens", "32", "--repeats", "1", "--read-memory", "8MiB",
    ];

    private static readonly string[] Fields =
    [
        "prefill_tokens_per_second", "decode_tokens_per_second", "step_p50_ms", "gflops", "gigabytes_per_second",
        "allocated_bytes_per_step",
    ];

    [Theory]
    [InlineData("The trace", "replay", "no-such-file")]
    [InlineData("--trace", "bench", "serving", "--trace", "mooncake", "no-such-file")]
    public async Task A_trace_that_is_not_there_is_named(string what, params string[] words)
    {
        var run = await Run.Krewe(words);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains($"{what} is 'no-such-file'; it must be a file, and it does not exist.", run.Error);
    }

    [Fact]
    public async Task Engine_prints_every_field_of_every_layer()
    {
        var run = await Run.Krewe(["bench", "engine", "--json", .. Small]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        AssertLimits(json.RootElement);
        AssertLayers(json.RootElement, "limit", "kernel", "runner", "engine");
        Assert.Equal(2, json.RootElement.GetProperty("threads").GetInt32());
        Assert.True(json.RootElement.GetProperty("weight_bytes_per_step").GetInt64() > 5_000_000);
        Assert.False(json.RootElement.TryGetProperty("products", out _));
    }

    [Fact]
    public async Task Kernels_prints_whole_steps_and_each_kind_of_matrix()
    {
        var run = await Run.Krewe(["bench", "kernels", "--json", .. Small]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        AssertLimits(json.RootElement);
        AssertLayers(json.RootElement, "limit", "kernel");
        var products = json.RootElement.GetProperty("products").EnumerateArray().ToArray();
        Assert.Equal(5, products.Select(product => product.GetProperty("matrix").GetString()).Distinct().Count());
        Assert.All(products, product =>
        {
            Assert.True(product.GetProperty("gflops").GetDouble() > 0);
            Assert.True(product.GetProperty("gigabytes_per_second").GetDouble() > 0);
        });
    }

    [Fact]
    public async Task Int8_weights_are_half_the_bytes_and_say_so()
    {
        var run = await Run.Krewe(["bench", "engine", "--json", "--weights", "int8", .. Small]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        Assert.Contains("wINT8", json.RootElement.GetProperty("numerics").GetString());
        Assert.InRange(json.RootElement.GetProperty("weight_bytes_per_step").GetInt64(), 2_000_000, 4_000_000);
        Assert.NotEmpty(json.RootElement.GetProperty("order").EnumerateArray());
    }

    [Fact]
    public async Task Tokenizer_prints_speeds_and_bad_words()
    {
        var run = await Run.Krewe(["bench", "tokenizer", "--json", "--size", "64KiB", "--repeats", "1"]);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        Assert.InRange(json.RootElement.GetProperty("bytes").GetInt64(), 64 << 10, 70 << 10);
        Assert.True(json.RootElement.GetProperty("encode_megabytes_per_second").GetDouble() > 0);
        Assert.Equal(4, json.RootElement.GetProperty("words").GetArrayLength());
    }

    [Fact]
    public async Task A_table_has_a_line_for_each_layer()
    {
        var run = await Run.Krewe(["bench", "kernels", .. Small]);

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("decode tokens/s", run.Out);
        Assert.Contains("limit", run.Out);
        Assert.Contains("gate_up", run.Out);
    }

    [Fact]
    public async Task Every_wrong_option_is_named()
    {
        var run = await Run.Krewe("bench", "engine", "--concurrency", "1,x", "--frobnicate", "--output-tokens", "1");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--concurrency has 'x'", run.Error);
        Assert.Contains("--frobnicate", run.Error);
        Assert.Contains("--output-tokens is '1'", run.Error);
    }

    [Theory]
    [InlineData("--step-tokens is 32", "--step-tokens", "32")]
    [InlineData("of the model's context", "--prompt-tokens", "2048")]
    [InlineData("--read-memory is 4096 bytes", "--read-memory", "4096")]
    public async Task Sizes_that_cannot_be_run_are_refused(string error, params string[] sizes)
    {
        var run = await Run.Krewe(["bench", "engine", .. sizes]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(error, run.Error);
        Assert.Empty(run.Out);
    }

    private static void AssertLimits(JsonElement report)
    {
        Assert.True(report.GetProperty("limits").GetProperty("gigabytes_per_second").GetDouble() > 0);
        Assert.True(report.GetProperty("limits").GetProperty("gflops").GetDouble() > 0);
    }

    /// <summary>Every layer is there once for each concurrency, with all its fields.</summary>
    private static void AssertLayers(JsonElement report, params string[] layers)
    {
        var results = report.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(
            layers.SelectMany(layer => new[] { $"{layer} 1", $"{layer} 3" }),
            results.Select(result => $"{result.GetProperty("layer")} {result.GetProperty("concurrency")}"));
        foreach (var result in results)
        {
            foreach (var field in Fields[..^1]) Assert.True(result.GetProperty(field).GetDouble() > 0, field);
            Assert.True(result.GetProperty(Fields[^1]).GetDouble() >= 0);
        }
    }
}
