using System.Text.Json;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// A constrained request has the same tokens alone, in a crowd, without a handoff, and when its decode worker is killed
/// in the midst of it: the constraint goes on where the tokens are.
/// </summary>
public sealed class ConstraintTests(NervousCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<NervousCluster>
{
    private const string Schema = """
        {"json": {"type": "object", "additionalProperties": false, "required": ["rows"], "properties": {"rows":
        {"type": "array", "minItems": 6, "maxItems": 8, "items": {"type": "object", "additionalProperties": false,
        "required": ["id", "name"], "properties": {"id": {"type": "integer", "minimum": 0, "maximum": 99999},
        "name": {"type": "string", "minLength": 3, "maxLength": 12}}}}}}}
        """;

    private const string Regex = """{"regex": "([a-z]{3,9} [0-9]{1,4}, ){12}end"}""";

    [Theory]
    [InlineData(Schema, "decode", 21)]
    [InlineData(Regex, "prefill", 22)]
    public async Task A_constrained_request_has_the_same_tokens_whatever_happens_to_it(
        string structured, string killed, int seed)
    {
        var request = Draw(seed, structured);
        await Cluster.WhenAllReturnedAsync(workers: 2);

        var alone = await request.AskAsync(Cluster);
        var crowd = await Task.WhenAll(Enumerable.Range(0, 6).Select(
            i => (i % 3 == 0 ? request : Draw(seed + (100 * i), structured)).AskAsync(Cluster)));
        await using var mixed = await KreweCluster.StartAsync("--mixed", "1");
        var together = await request.AskAsync(mixed);
        Cluster.Hold(killed == "decode" ? "decoding" : "computing", killed);
        var answering = ReadAsync(request);
        await Cluster.WhenHeldAsync();
        Signals.Kill((await Cluster.StateAsync()).Worker($"{killed}-0").Pid);
        var continued = await answering.WaitAsync(Patience.Hang);

        Assert.Equal(alone, together);
        Assert.All([crowd[0], crowd[3]], tokens => Assert.Equal(alone, tokens));
        Assert.Equal("stop", continued.FinishReason);
        Assert.Equal(alone, continued.Tokens);
        Assert.NotEqual(alone, crowd[1]);
        Assert.True(alone.Length > 30, "The answer is too short to tell.");
        AssertFits(structured, alone);
        Assert.Equal(0, (await Cluster.WhenAllReturnedAsync(workers: 2)).Tokens.Contradicting);
    }

    private static void AssertFits(string structured, int[] tokens)
    {
        using var model = Models.ModelFolder.Open(Prompts.ModelFolder, openWeights: false);
        var text = model.Tokenizer.Decode(tokens);
        if (structured == Regex)
        {
            Assert.Matches("^([a-z]{3,9} [0-9]{1,4}, ){12}end$", text);
            return;
        }

        using var answer = JsonDocument.Parse(text);
        Assert.InRange(answer.RootElement.GetProperty("rows").GetArrayLength(), 6, 8);
    }

    private async Task<StreamedAnswer> ReadAsync(TokenRequest request)
    {
        using var stream = await request.OpenAsync(Cluster);
        return await stream.ReadAsync();
    }

    private static TokenRequest Draw(int seed, string structured) =>
        new(new Prompts(seed).OfLength(100), 500, 0.8, seed, IgnoreEos: false) { Structured = structured };
}
