using System.Net;
using System.Text.Json;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

public sealed class CompletionTests
{
    private const string Path = "/v1/completions";

    [Theory]
    [InlineData("""[5,6,7]""")]
    [InlineData("""[[5,6,7]]""")]
    public async Task Token_ids_are_taken_as_they_are(string prompt)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var answer = await Json.OfAsync(
            await harness.PostAsync(Path, $$"""{"prompt":{{prompt}},"max_tokens":4,"return_token_ids":true}"""));

        Assert.Equal([5u, 6u, 7u], harness.Prefill.Started.Single().PromptTokens);
        Assert.Equal("text_completion", answer.Text("object"));
        Assert.StartsWith("cmpl-", answer.Text("id"), StringComparison.Ordinal);
        Assert.Equal("length", answer.Text("choices.0.finish_reason"));
        Assert.Equal(
            TestModel.Encode(SiloHarness.Answer)[..4],
            answer.At("choices.0.token_ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(3, answer.At("choices.0.prompt_token_ids").GetArrayLength());
    }

    [Theory]
    [InlineData("\"hello there\"")]
    [InlineData("[\"hello there\"]")]
    public async Task A_text_is_tokenized_and_sixteen_tokens_are_the_default(string prompt)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(Path, $$"""{"prompt":{{prompt}}}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var start = harness.Prefill.Started.Single();
        Assert.Equal(TestModel.Folder.Tokenizer.Encode("hello there", true).Select(id => (uint)id), start.PromptTokens);
        Assert.Equal(16u, start.MaxOutputTokens);
    }

    [Fact]
    public async Task A_stream_gives_the_same_text_in_pieces()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var events = new EventStream(await harness.PostStreamAsync(Path, """
            {"prompt":[5],"max_tokens":50,"stream":true,"return_token_ids":true,
             "stream_options":{"include_usage":true,"continuous_usage_stats":true}}
            """));
        var chunks = await events.ToEndAsync();

        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(chunks));
        Assert.Equal("stop", chunks[^2].Text("choices.0.finish_reason"));
        Assert.All(chunks, chunk => Assert.True(chunk.TryGetProperty("usage", out _)));
        var ids = chunks[..^1].SelectMany(chunk => chunk.At("choices.0.token_ids").EnumerateArray());
        Assert.Equal([.. TestModel.Encode(SiloHarness.Answer), TestModel.StopToken], ids.Select(id => id.GetInt32()));
        Assert.Single(chunks[..^1], chunk => chunk.At("choices.0").TryGetProperty("prompt_token_ids", out _));
    }

    [Fact]
    public async Task Defaults_of_fields_that_come_later_are_accepted()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(Path, """
            {"prompt":[5],"n":1,"best_of":1,"echo":false,"logprobs":null,"suffix":"","response_format":{"type":"text"},
             "use_beam_search":false,"stream":null,"stop":null,"max_tokens":2,"temperature":null,"seed":null}
            """);

        Assert.Equal(JsonValueKind.Object, (await Json.OfAsync(response)).ValueKind);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
