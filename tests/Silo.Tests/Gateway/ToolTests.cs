using System.Globalization;
using System.Net;
using System.Text.Json;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>Tools: what the model is told, and how its calls are told to clients of each dialect.</summary>
public sealed class ToolTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Ask = "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]";
    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"weather","description":"Tells it.","parameters":
        {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},
        {"type":"function","function":{"name":"other"}}]
        """;

    private const string Paris = "{\"city\": \"Paris, \\\"here\\\" {\"}";
    private const string Call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": " + Paris + "}\n</tool_call>";
    private const string Two = "One moment.\n" + Call
        + "\n<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>";

    [Fact]
    public async Task Calls_are_told_apart_from_text()
    {
        await using var harness = await StartAsync(Two);

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},{Tools}}}"));

        Assert.Equal("tool_calls", answer.Text("choices.0.finish_reason"));
        Assert.Equal("One moment.\n", answer.Text("choices.0.message.content"));
        Assert.Equal("weather", answer.Text("choices.0.message.tool_calls.0.function.name"));
        Assert.Equal(Paris, answer.Text("choices.0.message.tool_calls.0.function.arguments"));
        Assert.Equal("function", answer.Text("choices.0.message.tool_calls.0.type"));
        Assert.Equal("other", answer.Text("choices.0.message.tool_calls.1.function.name"));
        Assert.Equal("{}", answer.Text("choices.0.message.tool_calls.1.function.arguments"));
        var ids = Enumerable.Range(0, 2).Select(i => answer.Text($"choices.0.message.tool_calls.{i}.id")!).ToArray();
        Assert.All(ids, id => Assert.Matches("^call_[0-9a-f]{24}$", id));
        Assert.NotEqual(ids[0], ids[1]);
    }

    [Fact]
    public async Task An_answer_without_a_call_is_an_answer()
    {
        await using var harness = await StartAsync("It is < 5 <tool_");

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},{Tools}}}"));

        Assert.Equal("stop", answer.Text("choices.0.finish_reason"));
        Assert.Equal("It is < 5 <tool_", answer.Text("choices.0.message.content"));
        Assert.False(answer.At("choices.0.message").TryGetProperty("tool_calls", out _));
    }

    [Fact]
    public async Task An_answer_that_only_calls_has_no_content_and_a_named_call_ends_with_stop()
    {
        await using var harness = await StartAsync(Call);

        const string Named = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}";

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},{Tools},{Named}}}"));

        Assert.Equal("stop", answer.Text("choices.0.finish_reason"));
        Assert.Equal(JsonValueKind.Null, answer.At("choices.0.message.content").ValueKind);
        Assert.Equal("weather", answer.Text("choices.0.message.tool_calls.0.function.name"));
    }

    [Fact]
    public async Task A_call_that_was_cut_short_is_no_call()
    {
        await using var harness = await StartAsync(Call);

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},{Tools},\"max_tokens\":12}}"));

        Assert.Equal("length", answer.Text("choices.0.finish_reason"));
        Assert.False(answer.At("choices.0.message").TryGetProperty("tool_calls", out _));
    }

    [Fact]
    public async Task A_stream_has_each_calls_id_and_name_once_and_the_same_arguments_in_pieces()
    {
        await using var harness = await StartAsync(Two);

        using var events = new EventStream(await harness.PostStreamAsync(Chat, $"{{{Ask},{Tools},\"stream\":true}}"));
        var chunks = await events.ToEndAsync();

        var text = string.Concat(chunks.Select(chunk => Maybe(chunk, "choices", "0", "delta", "content")));
        Assert.Equal("One moment.\n", text);
        var deltas = chunks.Where(chunk => chunk.At("choices.0.delta").TryGetProperty("tool_calls", out _))
            .SelectMany(chunk => chunk.At("choices.0.delta.tool_calls").EnumerateArray()).ToList();
        foreach (var (index, name, arguments) in new[] { (0, "weather", Paris), (1, "other", "{}") })
        {
            var own = deltas.Where(delta => delta.GetProperty("index").GetInt32() == index).ToList();
            Assert.Equal(name, own[0].Text("function.name"));
            Assert.Equal("function", own[0].Text("type"));
            Assert.All(own.Skip(1), delta => Assert.False(delta.TryGetProperty("id", out _)));
            Assert.Equal(arguments, string.Concat(own.Select(delta => delta.Text("function.arguments"))));
        }

        Assert.True(deltas.Count > 4, "The arguments came in one piece.");
        Assert.Equal("tool_calls", chunks[^1].Text("choices.0.finish_reason"));
    }

    [Fact]
    public async Task A_model_whose_template_knows_no_tools_is_told_in_words()
    {
        await using var harness = await StartAsync("x");
        const string History = """
            "messages":[{"role":"system","content":"be kind"},{"role":"user","content":"q"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
            "function":{"name":"weather","arguments":"{\"city\": \"Oslo\"}"}}]},
            {"role":"tool","tool_call_id":"c","content":"cold"}]
            """;

        using var response = await harness.PostAsync(Chat, $"{{{History},{Tools}}}");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var prompt = TestModel.Folder.Tokenizer.Decode(
            [.. harness.Prefill.Started.Single().PromptTokens.Select(token => (int)token)], skipSpecialTokens: false);
        Assert.StartsWith("<|begin|><|system|>be kind\n\nYou can call", prompt, StringComparison.Ordinal);
        Assert.Contains("\"description\":\"Tells it.\"", prompt, StringComparison.Ordinal);
        Assert.Contains(
            "<|assistant|><tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>"
            + "<|end|>",
            prompt, StringComparison.Ordinal);
        Assert.Contains("<|user|><tool_response>\ncold\n</tool_response>", prompt, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_none_to_choose_nothing_is_forced_and_nothing_is_told()
    {
        await using var harness = await StartAsync("x");

        using var response = await harness.PostAsync(Chat, $"{{{Ask},{Tools},\"tool_choice\":\"none\"}}");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var start = harness.Prefill.Started.Single();
        Assert.Equal("", start.Sampling.Constraint);
        Assert.True(start.PromptTokens.Count < 15, "The functions are in the prompt.");
    }

    [Fact]
    public async Task Responses_have_an_item_for_each_call_whole_and_streamed()
    {
        await using var harness = await StartAsync(Two);
        const string Body = """
            "input":"hello","tools":[{"type":"function","name":"weather","parameters":{"type":"object"}},
            {"type":"function","name":"other"}]
            """;

        var answer = await Json.OfAsync(await harness.PostAsync("/v1/responses", $"{{{Body}}}"));
        using var stream = new EventStream(
            await harness.PostStreamAsync("/v1/responses", $"{{{Body},\"stream\":true}}"));
        List<JsonElement> events = [];
        while (await stream.NextAsync() is { } data)
        {
            using var document = JsonDocument.Parse(data);
            events.Add(document.RootElement.Clone());
        }

        Assert.Equal("One moment.\n", answer.Text("output.0.content.0.text"));
        Assert.Equal("function_call", answer.Text("output.1.type"));
        Assert.Equal(Paris, answer.Text("output.1.arguments"));
        Assert.StartsWith("call_", answer.Text("output.1.call_id"), StringComparison.Ordinal);
        Assert.Equal("other", answer.Text("output.2.name"));
        Assert.Equal("weather", answer.Text("tools.0.name"));
        var arguments = string.Concat(events
            .Where(item => item.Text("type") == "response.function_call_arguments.delta"
                && item.GetProperty("output_index").GetInt32() == 1)
            .Select(item => item.Text("delta")));
        Assert.Equal(Paris, arguments);
        Assert.Equal(3, events.Count(item => item.Text("type") == "response.output_item.added"));
        Assert.Equal(3, events.Count(item => item.Text("type") == "response.output_item.done"));
        Assert.Equal("response.completed", events[^1].Text("type"));
        Assert.Equal(Paris, events[^1].Text("response.output.1.arguments"));
    }

    [Fact]
    public async Task Messages_have_a_block_for_each_call_whole_and_streamed()
    {
        await using var harness = await StartAsync(Two);
        const string Body = Ask + """
            ,"max_tokens":500,"tools":[{"name":"weather","input_schema":{"type":"object"}},{"name":"other"}]
            """;

        var answer = await Json.OfAsync(await harness.PostAsync("/v1/messages", $"{{{Body}}}"));
        using var stream = new EventStream(
            await harness.PostStreamAsync("/v1/messages", $"{{{Body},\"stream\":true}}"));
        List<JsonElement> events = [];
        while (await stream.NextAsync() is { } data)
        {
            using var document = JsonDocument.Parse(data);
            events.Add(document.RootElement.Clone());
        }

        Assert.Equal("tool_use", answer.Text("stop_reason"));
        Assert.Equal("One moment.\n", answer.Text("content.0.text"));
        Assert.Equal("tool_use", answer.Text("content.1.type"));
        Assert.Equal("Paris, \"here\" {", answer.Text("content.1.input.city"));
        Assert.Equal("other", answer.Text("content.2.name"));
        var pieces = events.Where(item => Maybe(item, "delta", "type") == "input_json_delta"
            && item.GetProperty("index").GetInt32() == 1);
        Assert.Equal(Paris, string.Concat(pieces.Select(item => item.Text("delta.partial_json"))));
        Assert.Equal(3, events.Count(item => item.Text("type") == "content_block_start"));
        Assert.Equal(3, events.Count(item => item.Text("type") == "content_block_stop"));
        Assert.Equal("tool_use", events[^2].Text("delta.stop_reason"));
    }

    [Theory]
    [InlineData("\"tools\":[]", "tools")]
    [InlineData("\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type")]
    [InlineData("\"tools\":[{\"type\":\"function\"}]", "tools[0].function")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", "tools[0].function.name")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{}", "tool_choice")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"f\"", "tool_choice")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\","
        + "\"function\":{\"name\":\"g\"}}", "tool_choice.function.name")]
    [InlineData(
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"e\"}},{\"type\":\"function\",\"function\":"
        + "{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"not\":{}}}}}}]",
        "tools[1].function.parameters.properties.a.not")]
    [InlineData("\"functions\":[{\"name\":\"f\"}]", "functions")]
    public async Task Tools_that_cannot_be_called_are_refused_by_name(string fields, string parameter)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(Chat, $"{{{Ask},{fields}}}");

        var error = await Json.OfAsync(response);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(parameter, error.Text("error.param"));
    }

    /// <summary>The text at a path; null where there is none.</summary>
    private static string? Maybe(JsonElement element, params string[] path)
    {
        foreach (var step in path)
        {
            if (element.ValueKind == JsonValueKind.Array)
                element = element[int.Parse(step, CultureInfo.InvariantCulture)];
            else if (!element.TryGetProperty(step, out element)) return null;
        }

        return element.GetString();
    }

    /// <summary>A silo whose workers write this text.</summary>
    private static async Task<SiloHarness> StartAsync(string output)
    {
        var harness = await SiloHarness.StartPairAsync();
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode(output));
        return harness;
    }
}
