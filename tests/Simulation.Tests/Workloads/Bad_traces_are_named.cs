using System.IO.Compression;

namespace Krewe.Simulation.Tests.Workloads;

public sealed class Bad_traces_are_named : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens\n0,5", ":1:", "no column 'output_tokens'")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n0,5", ":2:", "2 columns")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n-5,5,5", ":2:", "the arrival is -5 ms")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n9,5,5\n8,5,5", ":3:", "sort the trace")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n0,five,5", ":2:", "'five', not a number")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n0,5,1e300", ":2:", "the output has 1E+300")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\nNaN,5,5", ":2:", "the arrival is NaN")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n0,0,5", ":2:", "at least 1")]
    [InlineData(TraceFormat.Azure, "arrival_ms,input_tokens,output_tokens\n", ":1:", "no request")]
    [InlineData(TraceFormat.Azure, "TIMESTAMP,ContextTokens,GeneratedTokens\nsoon,5,5", ":2:", "'soon' is not a time")]
    [InlineData(TraceFormat.Pairs, "a,b\n1,2", ":1:", "no column 'input_tokens' or")]
    [InlineData(TraceFormat.Mooncake, "{\"timestamp\":0,\"input_length\":5}", ":1:", "no field 'output_length'")]
    [InlineData(TraceFormat.Mooncake, "{\"timestamp\":0,", ":1:", "not JSON")]
    [InlineData(TraceFormat.Mooncake, "[1]", ":1:", "no JSON object")]
    [InlineData(
        TraceFormat.Mooncake, "{\"timestamp\":0,\"input_length\":600,\"output_length\":1,\"hash_ids\":[1]}", ":1:",
        "2 blocks of 512 are expected")]
    [InlineData(
        TraceFormat.Mooncake, "{\"timestamp\":0,\"input_length\":\"x\",\"output_length\":1}", ":1:", "not a number")]
    [InlineData(
        TraceFormat.Krewe, "{\"arrival_ms\":0,\"prompt_tokens\":2.5,\"output_tokens\":1}", ":1:", "whole number")]
    [InlineData(TraceFormat.Krewe, "", ":1:", "no request")]
    public void With_file_line_and_reason(TraceFormat format, string content, string line, string reason)
    {
        File.WriteAllText(_path, content);

        var error = Assert.Throws<SimulationException>(() => TraceReader.Read(_path, format, 1));

        Assert.Contains(_path + line, error.Message);
        Assert.Contains(reason, error.Message);
    }

    [Fact]
    public void A_file_that_is_not_there() => Assert.Contains(
        "'nowhere.csv' does not exist",
        Assert.Throws<SimulationException>(() => TraceReader.Read("nowhere.csv", TraceFormat.Azure, 1)).Message);

    [Fact]
    public void A_line_without_an_end_is_not_taken_into_memory()
    {
        File.WriteAllText(_path, new string('x', 5000));

        var error = Assert.Throws<SimulationException>(() => TraceReader.Read(
            _path, TraceFormat.Mooncake, 1, new TraceLimits { LineLengthMax = 1000 }));

        Assert.Contains(":1: a line of over 1000 characters", error.Message);
    }

    [Fact]
    public void A_trace_over_the_limit_says_where_it_passes_it()
    {
        File.WriteAllLines(_path, ["arrival_ms,input_tokens,output_tokens", "0,1,1", "1,1,1", "2,1,1"]);

        var error = Assert.Throws<SimulationException>(() => TraceReader.Read(
            _path, TraceFormat.Azure, 1, new TraceLimits { RequestsMax = 2 }));

        Assert.Contains(":4: more than 2 requests", error.Message);
    }

    [Fact]
    public void A_damaged_gzip_file()
    {
        using (var zipped = new GZipStream(File.Create(_path), CompressionLevel.Fastest))
            zipped.Write(new byte[10_000]);
        var bytes = File.ReadAllBytes(_path);
        File.WriteAllBytes(_path, [.. bytes.Take(12), 0xFF, 0xFF, .. bytes.Skip(14)]);

        Assert.ThrowsAny<SimulationException>(() => TraceReader.Read(_path, TraceFormat.Azure, 1));
    }
}
