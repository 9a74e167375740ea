using System.Net;
using System.Text.Json;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>/v1/responses and /v1/messages: the same prompt, the same tokens, in other shapes.</summary>
public sealed class DialectTests
{
    private const string Responses = "/v1/responses";
    private const string Messages = "/v1/messages";

    [Fact]
    public async Task All_three_dialects_give_the_model_the_same_prompt()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        (await harness.PostAsync("/v1/chat/completions", """
            {"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hello"}],"max_tokens":9}
            """)).EnsureSuccessStatusCode();
        (await harness.PostAsync(Responses, """
            {"instructions":"be kind","input":[{"role":"user","content":[{"type":"input_text","text":"hello"}]}],
             "max_output_tokens":9}
            """)).EnsureSuccessStatusCode();
        (await harness.PostAsync(Messages, """
            {"system":[{"type":"text","text":"be kind"}],"messages":[{"role":"user","content":"hello"}],"max_tokens":9}
            """)).EnsureSuccessStatusCode();

        var starts = harness.Prefill.Started.ToArray();
        Assert.Equal(3, starts.Length);
        Assert.All(starts, start => Assert.Equal(starts[0].PromptTokens, start.PromptTokens));
        Assert.All(starts, start => Assert.Equal(9u, start.MaxOutputTokens));
    }

    [Fact]
    public async Task A_response_has_the_shape_that_openai_gives_it()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(Responses, """{"input":"hello"}"""));

        Assert.StartsWith("resp_", answer.Text("id"), StringComparison.Ordinal);
        Assert.Equal(("response", "completed"), (answer.Text("object"), answer.Text("status")));
        Assert.Equal("output_text", answer.Text("output.0.content.0.type"));
        Assert.Equal(SiloHarness.Answer, answer.Text("output.0.content.0.text"));
        Assert.Equal(
            answer.Int("usage.total_tokens"), answer.Int("usage.input_tokens") + answer.Int("usage.output_tokens"));
    }

    [Fact]
    public async Task A_response_that_reached_its_limit_is_incomplete()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(
            Responses, """{"input":"hello","max_output_tokens":2,"include":["message.output_text.logprobs"]}"""));

        Assert.Equal("incomplete", answer.Text("status"));
        Assert.Equal("max_output_tokens", answer.Text("incomplete_details.reason"));
        Assert.Equal(2, answer.At("output.0.content.0.logprobs").GetArrayLength());
    }

    [Fact]
    public async Task A_streamed_response_opens_and_closes_everything_once_in_order()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var (names, events) = await StreamAsync(harness, Responses, """{"input":"hello","stream":true}""");

        Assert.Equal(
            ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"],
            names[..4]);
        Assert.Equal(
            [
                "response.output_text.done", "response.content_part.done", "response.output_item.done",
                "response.completed",
            ],
            names[^4..]);
        Assert.All(names[4..^4], name => Assert.Equal("response.output_text.delta", name));
        Assert.Equal(names, events.Select(item => item.Text("type")!));
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(item => item.Int("sequence_number")));
        Assert.Equal(SiloHarness.Answer, string.Concat(events.ToArray()[4..^4].Select(item => item.Text("delta"))));
        Assert.Equal(SiloHarness.Answer, events[^1].Text("response.output.0.content.0.text"));
    }

    [Fact]
    public async Task A_message_has_the_shape_that_anthropic_gives_it()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(Messages, """
            {"messages":[{"role":"user","content":"hello"}],"max_tokens":50,"stop_sequences":[" four"]}
            """));

        Assert.Equal(("message", "assistant"), (answer.Text("type"), answer.Text("role")));
        Assert.Equal("one two three", answer.Text("content.0.text"));
        Assert.Equal(("stop_sequence", " four"), (answer.Text("stop_reason"), answer.Text("stop_sequence")));
        Assert.True(answer.Int("usage.input_tokens") > 0);
    }

    [Fact]
    public async Task A_streamed_message_opens_and_closes_everything_once_in_order()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var (names, events) = await StreamAsync(harness, Messages, """
            {"messages":[{"role":"user","content":"hello"}],"max_tokens":50,"stream":true}
            """);

        Assert.Equal(["message_start", "content_block_start"], names[..2]);
        Assert.Equal(["content_block_stop", "message_delta", "message_stop"], names[^3..]);
        Assert.Equal(
            SiloHarness.Answer, string.Concat(events.ToArray()[2..^3].Select(item => item.Text("delta.text"))));
        Assert.Equal("end_turn", events[^2].Text("delta.stop_reason"));
    }

    [Theory]
    [InlineData(Responses, """{"input":5}""", "input")]
    [InlineData(Responses, """{}""", "input")]
    [InlineData(Responses, """{"input":"x","previous_response_id":"resp_1"}""", "previous_response_id")]
    [InlineData(Responses, """{"input":"x","background":true}""", "background")]
    [InlineData(Responses, """{"input":"x","max_output_tokens":0}""", "max_output_tokens")]
    [InlineData(Responses, """{"input":"x","text":{"format":{"type":"xml"}}}""", "text.format.type")]
    [InlineData(Responses,
        """{"input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{"not":{}}}}}""",
        "text.format.schema.not")]
    [InlineData(Responses, """{"input":[{"type":"item_reference","id":"x"}]}""", "input[0].type")]
    [InlineData(Responses, """{"input":"x","tools":[{"type":"function","type":"x"}]}""", "tools")]
    [InlineData("/v1/chat/completions",
        """{"messages":[{"role":"user","content":"x"}],"reasoning_effort":"enormous"}""", "reasoning_effort")]
    public async Task A_wrong_field_is_named_as_it_was_sent(string path, string body, string field)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(path, body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = await Json.OfAsync(response);
        Assert.Equal(field, error.Text("error.param") ?? "tools");
        Assert.Empty(harness.Prefill.Started);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"x"}]}""", "'max_tokens'")]
    [InlineData("""{"messages":[],"max_tokens":5}""", "messages")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image"}]}],"max_tokens":5}""", "image")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_tokens":5,"model":"other"}""", "other")]
    public async Task An_error_of_a_message_has_the_shape_that_anthropic_gives_it(string body, string words)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(Messages, body);

        Assert.Equal(
            words == "other" ? HttpStatusCode.NotFound : HttpStatusCode.BadRequest, response.StatusCode);
        var error = await Json.OfAsync(response);
        Assert.Equal("error", error.Text("type"));
        Assert.Equal(words == "other" ? "not_found_error" : "invalid_request_error", error.Text("error.type"));
        Assert.Contains(words, error.Text("error.message"), StringComparison.Ordinal);
    }

    private static async Task<(string[] Names, List<JsonElement> Events)> StreamAsync(
        SiloHarness harness, string path, string body)
    {
        using var stream = new EventStream(await harness.PostStreamAsync(path, body));
        List<string> names = [];
        List<JsonElement> events = [];
        while (await stream.NextAsync() is { } data)
        {
            names.Add(stream.Name ?? "");
            using var document = JsonDocument.Parse(data);
            events.Add(document.RootElement.Clone());
        }

        return ([.. names], events);
    }
}
