using System.Globalization;
using System.Text;
using System.Text.Json;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

public sealed class LogprobTests
{
    private static readonly int[] Tokens = TestModel.Encode("one 🙂 two");

    [Fact]
    public async Task A_chat_has_one_entry_for_each_token_with_its_bytes_and_alternatives()
    {
        await using var harness = await StartAsync();

        var answer = await Json.OfAsync(await harness.PostAsync("/v1/chat/completions", """
            {"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":3}
            """));

        var content = answer.At("choices.0.logprobs.content").EnumerateArray().ToArray();
        int[] expected = [.. Tokens, TestModel.StopToken];
        Assert.Equal(expected.Length, content.Length);
        Assert.Equal("one 🙂 two<|end|>", Encoding.UTF8.GetString(
            [.. content.SelectMany(token => token.At("bytes").EnumerateArray()).Select(value => value.GetByte())]));
        Assert.All(content.Zip(expected), pair =>
        {
            Assert.Equal(-pair.Second / 1024f, pair.First.GetProperty("logprob").GetSingle());
            Assert.Equal(3, pair.First.At("top_logprobs").GetArrayLength());
            Assert.Equal(pair.First.Text("token"), pair.First.Text("top_logprobs.0.token"));
        });
    }

    [Fact]
    public async Task A_stream_carries_the_same_entries_even_of_tokens_without_text()
    {
        await using var harness = await StartAsync();
        const string Body = """{"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":0""";

        var whole = await Json.OfAsync(await harness.PostAsync("/v1/chat/completions", Body + "}"));
        using var events = new EventStream(
            await harness.PostStreamAsync("/v1/chat/completions", Body + ""","stream":true}"""));
        var chunks = await events.ToEndAsync();

        var streamed = chunks.Where(chunk => chunk.At("choices.0.logprobs").ValueKind != JsonValueKind.Null)
            .SelectMany(chunk => chunk.At("choices.0.logprobs.content").EnumerateArray());
        Assert.Equal(
            whole.At("choices.0.logprobs.content").EnumerateArray().Select(token => token.GetRawText()),
            streamed.Select(token => token.GetRawText()));
        Assert.Equal(0, whole.At("choices.0.logprobs.content.0.top_logprobs").GetArrayLength());
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(2, 2)]
    public async Task A_completion_has_four_lists_of_equal_length(int alternatives, int entries)
    {
        await using var harness = await StartAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(
            "/v1/completions", $$"""{"prompt":[5],"max_tokens":3,"logprobs":{{alternatives}}}"""));

        var logprobs = answer.At("choices.0.logprobs");
        Assert.All(
            (string[])["text_offset", "token_logprobs", "tokens", "top_logprobs"],
            list => Assert.Equal(3, logprobs.At(list).GetArrayLength()));
        Assert.Equal(0, logprobs.Int("text_offset.0"));
        Assert.Equal(logprobs.Text("tokens.0")!.Length, logprobs.Int("text_offset.1"));
        Assert.Equal(entries, logprobs.At("top_logprobs.0").EnumerateObject().Count());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_echo_begins_with_the_prompt_and_its_log_probabilities(bool stream)
    {
        await using var harness = await StartAsync();
        var prompt = TestModel.Encode("hello there");
        var body = $$"""
            {"prompt":[{{string.Join(',', prompt)}}],"max_tokens":2,"echo":true,"logprobs":1,
             "stream":{{(stream ? "true" : "false")}}}
            """;

        JsonElement first;
        if (stream)
        {
            using var events = new EventStream(await harness.PostStreamAsync("/v1/completions", body));
            first = (await events.ToEndAsync())[0];
        }
        else
        {
            first = await Json.OfAsync(await harness.PostAsync("/v1/completions", body));
        }

        Assert.StartsWith("hello there", first.Text("choices.0.text"), StringComparison.Ordinal);
        var logprobs = first.At("choices.0.logprobs");
        Assert.Equal(JsonValueKind.Null, logprobs.At("token_logprobs.0").ValueKind);
        Assert.Equal(JsonValueKind.Null, logprobs.At("top_logprobs.0").ValueKind);
        Assert.Equal(-prompt[1] / 1024f, logprobs.At("token_logprobs.1").GetSingle());
        Assert.Equal(prompt.Length + (stream ? 1 : 2), logprobs.At("tokens").GetArrayLength());
    }

    [Fact]
    public async Task An_echo_of_nothing_but_the_prompt_has_no_output()
    {
        await using var harness = await StartAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(
            "/v1/completions", """{"prompt":"hello there","max_tokens":0,"echo":true,"logprobs":0}"""));

        Assert.Equal("hello there", answer.Text("choices.0.text"));
        Assert.Equal(0, answer.Int("usage.completion_tokens"));
        Assert.Equal(
            answer.Int("usage.prompt_tokens"), answer.At("choices.0.logprobs.token_logprobs").GetArrayLength());
    }

    [Fact]
    public async Task Prompt_log_probabilities_are_by_token_id_with_their_rank()
    {
        await using var harness = await StartAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(
            "/v1/completions", """{"prompt":[5,8,9],"max_tokens":2,"prompt_logprobs":2}"""));

        var list = answer.At("choices.0.prompt_logprobs");
        Assert.Equal(JsonValueKind.Null, list[0].ValueKind);
        Assert.Equal(-8 / 1024f, list[1].GetProperty("8").GetProperty("logprob").GetSingle());
        Assert.Equal(1, list[1].GetProperty("8").Int("rank"));
        Assert.Equal(2, list[1].GetProperty("9").Int("rank"));
    }

    [Fact]
    public async Task Tokens_can_be_named_by_their_ids()
    {
        await using var harness = await StartAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(
            "/v1/completions", """{"prompt":[5],"max_tokens":1,"logprobs":1,"return_tokens_as_token_ids":true}"""));

        Assert.Equal(
            string.Create(CultureInfo.InvariantCulture, $"token_id:{Tokens[0]}"),
            answer.Text("choices.0.logprobs.tokens.0"));
    }

    private static async Task<SiloHarness> StartAsync()
    {
        var harness = await SiloHarness.StartPairAsync();
        harness.Script = start => SiloHarness.Limited(start, Tokens);
        return harness;
    }
}
