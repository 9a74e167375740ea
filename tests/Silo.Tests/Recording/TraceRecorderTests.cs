using System.Text.Json;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Recording;

public sealed class TraceRecorderTests
{
    [Fact]
    public async Task What_was_served_is_written_in_order_of_arrival_without_a_prompt()
    {
        using var keys = KeyFile.OfRoles();
        var file = Path.Combine(keys.Folder, "trace.jsonl");
        await using var harness = await SiloHarness.StartPairAsync(
            options => options with { RecordFile = file, ApiKeys = keys.Path });
        var prompt = string.Join(',', Enumerable.Range(300, 40));
        var hold = harness.Decode.Hold = new Hold(2);
        var slow = harness.PostAsAsync("user", "/v1/completions", $$"""{"prompt":[{{prompt}},1],"max_tokens":5}""");
        await hold.Reached;
        harness.Decode.Hold = null;
        await harness.PostAsAsync("other", "/v1/completions", $$"""{"prompt":[{{prompt}},2],"max_tokens":3,"n":2}""");
        await harness.PostAsAsync("user", "/v1/completions", """{"prompt":[5],"temperature":-1}""");
        Assert.Equal("", await ReadAsync(file)); // those behind one that runs wait for it
        hold.Release();
        await slow;
        await harness.UntilQuietAsync();
        await Eventually.UntilAsync(async () => (await LinesAsync(file)).Count == 3, "three lines are there");

        var lines = await LinesAsync(file);

        Assert.Equal([5, 3, 3], lines.Select(line => line.Int("output_tokens")));
        Assert.All(lines, line => Assert.Equal(41, line.Int("prompt_tokens")));
        Assert.Equal([0, 1, 1], lines.Select(line => line.Int("tenant")));
        var arrivals = lines.Select(line => line.At("arrival_ms").GetDouble()).ToList();
        Assert.Equal(arrivals.Order(), arrivals);
        var blocks = lines.Select(line => string.Join(' ', line.At("blocks").EnumerateArray())).ToList();
        Assert.Equal(2, blocks[0].Split(' ').Length);
        Assert.Single(blocks.Distinct());
        // Token ids of the prompt would be small numbers.
        Assert.All(lines[0].At("blocks").EnumerateArray(), id => Assert.True(id.GetInt64() > 10_000));
    }

    private static async Task<List<JsonElement>> LinesAsync(string file) =>
    [
        .. (await ReadAsync(file)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.Clone();
        }),
    ];

    private static async Task<string> ReadAsync(string file)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }
}
