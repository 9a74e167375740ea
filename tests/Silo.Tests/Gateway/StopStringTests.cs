using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

public sealed class StopStringTests
{
    private const string Path = "/v1/completions";

    [Theory]
    [InlineData("e fo", "one two thre")]
    [InlineData("three", "one two ")]
    [InlineData("on", "")]
    [InlineData("seven", "one two three four five six ")]
    [InlineData("eight", SiloHarness.Answer)]
    public async Task A_stop_string_never_leaks_however_tokens_are_cut(string stop, string shown)
    {
        await using var harness = await SiloHarness.StartPairAsync();
        foreach (var tokensPerRun in (int[])[1, 2, 5, 100])
        {
            harness.Decode.TokensPerRun = tokensPerRun;
            var body = $$"""{"prompt":[5],"max_tokens":50,"stop":["{{stop}}","never"]""";

            var whole = await Json.OfAsync(await harness.PostAsync(Path, body + "}"));
            using var events = new EventStream(await harness.PostStreamAsync(Path, body + ",\"stream\":true}"));
            var chunks = await events.ToEndAsync();

            Assert.Equal(shown, whole.Text("choices.0.text"));
            Assert.Equal("stop", whole.Text("choices.0.finish_reason"));
            Assert.Equal(shown, EventStream.TextOf(chunks));
            Assert.Equal("stop", chunks[^1].Text("choices.0.finish_reason"));
        }

        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task A_match_aborts_the_rest_on_the_worker_and_the_request_is_finished()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var tokens = TestModel.Encode(SiloHarness.Answer);
        harness.Decode.Hold = new Hold(tokens.Length - 1);

        using var response = await harness.PostAsync(Path, """{"prompt":[5],"max_tokens":50,"stop":" three"}""");
        var answer = await Json.OfAsync(response);

        Assert.Equal("one two", answer.Text("choices.0.text"));
        await harness.UntilQuietAsync();
        Assert.Single(harness.Decode.Aborted);
        var id = response.Headers.GetValues("x-request-id").Single();
        var record = await harness.GetJsonAsync($"/v1/requests/{id}");
        Assert.Equal("finished", record.Text("outcome"));
        Assert.Equal("stop", record.Text("finish_reason"));
        Assert.Equal(answer.Int("usage.completion_tokens"), record.Int("output_tokens"));
    }

    [Fact]
    public async Task Below_the_least_number_of_tokens_no_stop_string_is_looked_for()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var least = TestModel.Encode("one two three four").Length;

        var answer = await Json.OfAsync(await harness.PostAsync(
            Path, $$"""{"prompt":[5],"max_tokens":50,"min_tokens":{{least}},"stop":[" two"," six"]}"""));

        Assert.Equal("one two three four five", answer.Text("choices.0.text"));
    }

    [Fact]
    public async Task Half_a_character_is_held_back_until_it_is_whole()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var tokens = TestModel.Encode("a🙂b");
        Assert.True(tokens.Length > 3, "the character must take several tokens");
        harness.Script = start => SiloHarness.Limited(start, tokens);

        using var events = new EventStream(
            await harness.PostStreamAsync(Path, """{"prompt":[5],"max_tokens":50,"stream":true}"""));
        var chunks = await events.ToEndAsync();

        Assert.Equal("a🙂b", EventStream.TextOf(chunks));
        Assert.All(chunks, chunk => Assert.DoesNotContain('\uFFFD', chunk.Text("choices.0.text")!));
    }
}
