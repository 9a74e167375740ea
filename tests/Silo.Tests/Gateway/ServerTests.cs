using System.Net;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>Tokens and text, and what tools ask a server about itself.</summary>
public sealed class ServerTests
{
    [Theory]
    [InlineData("hello there 🙂")]
    [InlineData("<|user|>x<|end|>")]
    public async Task Text_becomes_tokens_and_the_same_text_again(string text)
    {
        await using var harness = await SiloHarness.StartAsync();

        var tokens = await Json.OfAsync(await harness.PostAsync(
            "/tokenize", $$"""{"prompt":"{{text}}","add_special_tokens":false,"return_token_strs":true}"""));
        var back = await Json.OfAsync(await harness.PostAsync(
            "/detokenize", $$"""{"model":"tiny","tokens":{{tokens.At("tokens").GetRawText()}}}"""));

        Assert.Equal(text, back.Text("prompt"));
        Assert.Equal(tokens.Int("count"), tokens.At("tokens").GetArrayLength());
        Assert.Equal(tokens.Int("count"), tokens.At("token_strs").GetArrayLength());
        Assert.Equal(2048, tokens.Int("max_model_len"));
    }

    [Fact]
    public async Task Messages_are_counted_as_the_model_gets_them()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        const string Messages = """ "messages":[{"role":"user","content":"hello"}] """;

        var tokenized = await Json.OfAsync(await harness.PostAsync("/tokenize", $"{{{Messages}}}"));
        var counted = await Json.OfAsync(await harness.PostAsync("/v1/messages/count_tokens", $"{{{Messages}}}"));
        (await harness.PostAsync("/v1/chat/completions", $"{{{Messages}}}")).Dispose();

        Assert.Equal(harness.Prefill.Started.Single().PromptTokens.Count, tokenized.Int("count"));
        Assert.Equal(tokenized.Int("count"), counted.Int("input_tokens"));
    }

    [Theory]
    [InlineData("/tokenize", "{}", "prompt")]
    [InlineData("/tokenize", """{"prompt":5}""", "prompt")]
    [InlineData("/detokenize", "{}", "tokens")]
    [InlineData("/detokenize", """{"tokens":[-1]}""", "tokens[0]")]
    [InlineData("/detokenize", """{"tokens":[99999]}""", "tokens[0]")]
    public async Task A_wrong_field_is_named(string path, string body, string field)
    {
        await using var harness = await SiloHarness.StartAsync();

        using var response = await harness.PostAsync(path, body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(field, (await Json.OfAsync(response)).Text("error.param"));
    }

    [Fact]
    public async Task The_server_tells_its_version_its_load_and_its_paths()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostAsync("/v1/completions", """{"prompt":[5]}""");
        await harness.Prefill.Hold.Reached;

        Assert.NotEmpty((await harness.GetJsonAsync("/version")).Text("version")!);
        Assert.Equal(1, (await harness.GetJsonAsync("/load")).Int("server_load"));
        Assert.Equal(HttpStatusCode.OK, (await harness.Client.GetAsync("/ping")).StatusCode);
        var paths = (await harness.GetJsonAsync("/openapi.json")).At("paths");
        Assert.True(paths.TryGetProperty("/v1/chat/completions", out var chat));
        Assert.True(chat.TryGetProperty("post", out _));
        Assert.True(paths.TryGetProperty("/v1/requests/{id}/stream", out _));

        harness.Prefill.Hold.Release();
        (await answering).Dispose();
        await Eventually.UntilAsync(
            async () => (await harness.GetJsonAsync("/load")).Int("server_load") == 0, "nothing is inside");
    }

    [Theory]
    [InlineData("POST", "/v1/embeddings")]
    [InlineData("GET", "/v1/responses/resp_1")]
    [InlineData("POST", "/v1/responses/resp_1/cancel")]
    public async Task What_is_not_served_is_refused_so_that_nobody_retries(string method, string path)
    {
        await using var harness = await SiloHarness.StartAsync();
        using var message = new HttpRequestMessage(new HttpMethod(method), path)
        {
            Content = new StringContent("{}", null, "application/json"),
        };

        using var response = await harness.Client.SendAsync(message);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("not_found", (await Json.OfAsync(response)).Text("error.code"));
    }
}
